"""Telling people: figures, one self-contained page, and the same as JSON."""
