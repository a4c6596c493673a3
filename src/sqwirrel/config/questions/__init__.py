"""Sections of a config that ask: where to measure next, for a translated map, what moves what."""
