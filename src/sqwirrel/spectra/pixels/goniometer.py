"""How a crystal is mounted on a spectrometer, and which (h, k, l) a momentum transfer in the laboratory is.

The laboratory has x along k_i, z up and y = z x x, which is left as the neutron flies. At psi = 0 the vector u (rlu)
lies along k_i and v in the horizontal plane, with v . y > 0. A positive psi turns the crystal by psi about z,
anticlockwise as seen from above: u then lies at the angle psi to k_i, towards y. A vector c in the frame of u and v
(first axis along u, second in the plane of u and v, third along u x v) lies in the laboratory along

    R_z(psi + omega) R_z(dpsi) R_y(gl) R_x(gs) R_z(-omega) c,

with R_y(gl) a right-handed rotation about y that tilts the vertical towards k_i, and R_x(gs) one about x. These are the
conventions of Horace and Tobyfit (Ewings et al., Nucl. Instrum. Methods A 834, 132 (2016), 10.1016/j.nima.2016.07.036),
where omega turns the axes of the arcs gl and gs away from u, and dpsi is what psi is wrong by.
"""

from dataclasses import dataclass
from math import radians

import numpy as np
import torch
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice

PARALLEL = 1e-3
"""Sine of the smallest angle between u and v: a plane that they span by rounding alone is none."""

Vector = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Goniometer:
    """A crystal of `lattice` with `u` (rlu) along k_i and `v` (rlu) in the horizontal plane at psi = 0.

    `dpsi`, `gl`, `gs` and `omega` (degrees) are corrections, as Horace names them: of psi, of the large and the small
    arc, and of the direction of their axes. The signs are those of this module.
    """

    lattice: Lattice
    u: Vector
    v: Vector
    dpsi: float = 0.0
    gl: float = 0.0
    gs: float = 0.0
    omega: float = 0.0

    def __post_init__(self) -> None:
        for name in ("u", "v"):
            vector = getattr(self, name)
            if len(vector) != 3 or not np.isfinite(vector).all() or not np.any(vector):
                raise InputError(f"{name} must be one (h, k, l), not zero, got {list(vector)}")
        first, second = self._cartesian()
        if not np.linalg.norm(np.cross(first, second)) > PARALLEL:
            raise InputError(
                f"u = {list(self.u)} and v = {list(self.v)} are parallel; v must be another direction in the "
                "horizontal plane"
            )
        for name in ("dpsi", "gl", "gs", "omega"):
            if not np.isfinite(getattr(self, name)):
                raise InputError(f"{name} is {getattr(self, name)} degrees; it must be finite")

    def to_rlu(self, psi: float) -> Float64[np.ndarray, "3 3"]:
        """The matrix that makes (h, k, l) of a wavevector (column, 1/angstrom) in the laboratory, at psi (degrees)."""
        first, second = self._cartesian()
        third = np.cross(first, second)
        third /= np.linalg.norm(third)
        frame = np.stack([first, np.cross(third, first), third])  # rows: axes of u and v in those of the lattice
        about = {"z": psi + self.omega + self.dpsi, "y": self.gl, "x": self.gs}
        turns = [_rotation(axis, angle) for axis, angle in about.items()]
        turned = turns[0] @ turns[1] @ turns[2] @ _rotation("z", -self.omega)
        rlu: Float64[np.ndarray, "3 3"] = np.linalg.inv(self.lattice.reciprocal.numpy().T) @ frame.T @ turned.T
        return rlu

    def _cartesian(self) -> Float64[np.ndarray, "2 3"]:
        """Unit vectors along u and v in the axes of the lattice."""
        waves = self.lattice.to_cartesian(torch.tensor([self.u, self.v], dtype=torch.float64)).numpy()
        unit: Float64[np.ndarray, "2 3"] = waves / np.linalg.norm(waves, axis=1, keepdims=True)
        return unit


def _rotation(axis: str, angle: float) -> Float64[np.ndarray, "3 3"]:
    matrix: Float64[np.ndarray, "3 3"] = Rotation.from_euler(axis, radians(angle)).as_matrix()
    return matrix
