"""Causes: which parameter moves which part of a spectrum or of a dispersion, by intervention on the simulator."""
