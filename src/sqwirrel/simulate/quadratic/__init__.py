"""Quadratic boson Hamiltonians: their operators and matrix elements, and their modes."""
