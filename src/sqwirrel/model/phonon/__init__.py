"""Lattice dynamics: atoms joined by springs, their parameters, and where both come from."""
