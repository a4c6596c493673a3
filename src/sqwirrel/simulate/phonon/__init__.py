"""Phonons: energies and what neutrons see of them."""
