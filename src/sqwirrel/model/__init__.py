"""What might be true: crystals, spin Hamiltonians, magnetic ions, priors and published models."""
