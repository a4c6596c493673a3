"""Causes: which parameter moves which part of a spectrum, by intervention on the simulator."""
