"""Scans of triple-axis spectrometers, as the instruments wrote them: one module a format, and what they share."""

from sqwirrel.spectra.readers.triple_axis import ice, icp, ill, spice

SCANS = {"spice": spice, "ill": ill, "ice": ice, "icp": icp}
