"""Views of a single crystal: beams, resolutions in q, slices of levels."""
