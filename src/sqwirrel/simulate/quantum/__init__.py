"""Corrections to linear spin-wave theory at zero temperature: zero-point motion, two magnons, interactions."""
