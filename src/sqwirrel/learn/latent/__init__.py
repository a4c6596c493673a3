"""Latents of powder maps: autoencoders that know where was measured, and light heads for a material."""
