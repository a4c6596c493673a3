"""Translators between two domains of images, simulated and measured ones, learnt without pairs."""
