"""Where the bins of a measurement look, and what they see of the modes of a model before the energy resolution."""
