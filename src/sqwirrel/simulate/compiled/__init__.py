"""Compiled kernels without gradients (numba)."""
