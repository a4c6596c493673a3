"""Formats in plain text: our CSV, and maps as .spe and as DAVE writes them."""
