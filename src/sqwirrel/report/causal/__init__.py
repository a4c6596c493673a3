"""Causal maps for people: what a map says as data, and its figures."""
