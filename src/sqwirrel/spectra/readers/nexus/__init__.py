"""Formats in HDF5: NXSPE, Mantid workspaces, and our own."""
