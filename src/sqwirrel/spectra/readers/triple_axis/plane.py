"""The scattering plane from an orientation matrix and the normal of the plane."""

import itertools

import numpy as np
from jaxtyping import Float64

FLAT = np.radians(0.3)
"""Angle to the plane below which a wavevector of small integers is taken to lie in it."""
SMALL = sorted(
    (hkl for hkl in itertools.product(range(-3, 4), repeat=3) if any(hkl)),
    key=lambda hkl: (sum(map(abs, hkl)), [-x for x in hkl]),
)


def plane_of(ub: Float64[np.ndarray, "3 3"], normal: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "2 3"] | None:
    """Two (h, k, l) that span the plane perpendicular to `normal`, in the frame to which `ub` takes (h, k, l), such
    that their cross product points along `normal`; of small integers where those lie in it. None if there is no plane.
    """
    if not (np.isfinite(ub).all() and abs(np.linalg.det(ub)) > 1e-12 and np.linalg.norm(normal) > 1e-6):
        return None
    upright = normal / np.linalg.norm(normal)
    whole = np.array(SMALL, dtype=np.float64)
    place = whole @ ub.T
    inside = np.abs(place @ upright) < np.sin(FLAT) * np.linalg.norm(place, axis=1)
    found = whole[inside]
    pairs = [(found[0], each) for each in found if np.linalg.norm(np.cross(found[0], each)) > 1e-9]
    if pairs:
        first, second = pairs[0]
    else:
        first, second = np.linalg.svd((ub.T @ upright)[None])[2][1:]
    if np.cross(ub @ first, ub @ second) @ upright < 0:
        first, second = second, first
    return np.stack([first, second]) + 0.0
