"""Causes: which parameter moves which part of a spectrum, by interventions on the simulator.

What is found is causal in the simulator by construction; it is causal for the material only as far as the simulator is
right, which the tests of a measured spectrum look at.
"""
