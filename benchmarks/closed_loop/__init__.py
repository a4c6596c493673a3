"""A triple-axis spectrometer in silico, what is believed after each point, and rules that choose the next one."""
