"""The magnetic part of a model: order, terms of the Hamiltonian."""
