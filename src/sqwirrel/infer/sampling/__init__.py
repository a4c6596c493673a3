"""Draws from a posterior: weighted ones, and moved ones where the weights fail."""
