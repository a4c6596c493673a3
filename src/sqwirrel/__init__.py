"""Parameters of a magnetic Hamiltonian, with error bars, from measured neutron spectra."""

__version__ = "0.1.0.dev0"
