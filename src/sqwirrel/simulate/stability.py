"""Whether an order is a minimum of the energy, and where it fails: the boson Hamiltonian over the whole zone."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import zone
from sqwirrel.simulate.classical.search import Vector, energy_of, torque
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.spinwave import SpinWaves
from sqwirrel.simulate.terms import one_set

NEGATIVE = 1e-7
"""An eigenvalue of H below minus this, relative to the largest element, is no rounding of a Goldstone mode."""

COARSE, CENTRE = 12, 1e-3
"""Points along each direction of the zone where imaginary phonons are looked for, and what is none (meV): rounding."""


class Stability(NamedTuple):
    """`eigenvalue` (meV) is the lowest of the boson Hamiltonian over the magnetic zone, at `q` (rlu).

    Without `is_stationary` the other two mean nothing; `torque` (meV, Cartesian) is where each moment would turn.
    """

    is_stationary: bool
    is_minimum: bool
    q: Float[Tensor, "3"]
    eigenvalue: float
    torque: Float[Tensor, "site 3"]


def stability(model: SpinModel, theta: Float[Tensor, "set parameter"], *, field: Vector = (0.0, 0.0, 0.0)) -> Stability:
    """Of the order of `model` with these parameters (meV) in a field (T); a spiral is looked at in its own frame."""
    one_set(model, theta)
    with torch.no_grad():
        expansion = SpinWaves(model, torch.zeros(1, 3, dtype=torch.float64), field=field, keep=False).expansion(theta)
        stationary = bool(expansion.stationary[0])

        def softest(x: Float[Tensor, "x 3"]) -> Float[Tensor, " x"]:
            low: Tensor = torch.linalg.eigvalsh(expansion.at(zone.to_rlu(x, model.supercell))[0])[:, 0]
            return low

        points, values = zone.lowest(softest, zone.coupled(model))
        x, low = points[0] - points[0].round(), float(values[0])
        rounding = NEGATIVE * float(expansion.value.abs().max())
        centre = float(softest(torch.zeros_like(points[:1]))[0])
        if centre < low + rounding:
            x, low = torch.zeros_like(x), centre
        turning = torch.zeros_like(expansion.directions[0])
        if not stationary:
            turning = torque(energy_of(model, theta, field), expansion.directions[0])
    q = zone.to_rlu(x[None], model.supercell)[0]
    return Stability(stationary, stationary and low > -rounding, q, low, turning)


def reason(
    model: SpinModel | PhononModel,
    theta: Float[Tensor, "set parameter"],
    *,
    field: Vector = (0.0, 0.0, 0.0),
    at: Float[Tensor, "q 3"] | None = None,
) -> str:
    """One sentence: why a model is not stable with these parameters, and what to do; `at` as in `why_unstable`."""
    if isinstance(model, PhononModel):
        return why_imaginary(model, theta, at)
    return why_unstable(model, stability(model, theta, field=field), at)


def why_imaginary(
    model: PhononModel, theta: Float[Tensor, "set parameter"], at: Float[Tensor, "q 3"] | None = None
) -> str:
    """The same of springs that do not hold a crystal together; looks at a mesh of the zone."""
    axis = (torch.arange(COARSE, dtype=torch.float64) - COARSE // 2) / COARSE
    mesh = torch.cartesian_prod(axis, axis, axis) @ torch.linalg.inv(model.primitive).T
    q = mesh if at is None else torch.cat((mesh, at))
    with torch.no_grad():
        softest = Phonons(model, q).energies(theta)[0, :, -1]
        softest = torch.where(softest.abs() < CENTRE, 0.0, softest)
    k = int(softest.argmin())
    if float(softest[k]) >= 0:
        return (
            f"the springs of model '{model.name}' hold the crystal together with these parameters at a mesh of "
            "wavevectors, but not at all that are looked at: it is on the edge of stability; change the parameters"
        )
    return (
        f"the springs of model '{model.name}' do not hold the crystal together with these parameters: the softest "
        f"phonon at q = {_three(q[k])} has the energy {-float(softest[k]):.3g} i meV; change the parameters, or give "
        "priors that keep springs along the bonds of near neighbours positive"
    )


def why_unstable(model: SpinModel, found: Stability, at: Float[Tensor, "q 3"] | None = None) -> str:
    """One sentence: what is wrong with an order that is no minimum, and what to do.

    It names the softest wavevector, or the first of those `at` (rlu) which are known to fail and were not found.
    """
    head = f"the assumed order of model '{model.name}' is not"
    if not found.is_stationary:
        site = int(found.torque.norm(dim=-1).argmax())
        towards = _three(torch.nn.functional.normalize(found.torque[site], dim=0))
        cure = "give directions nearer to a minimum" if model.relaxed else "set relaxed = true in [order]"
        return (
            f"{head} stationary with these parameters (a torque acts on the moments: that of {model.labels[site]} "
            f"would turn towards {towards}); {cure} (sqwirrel order finds a minimum)"
        )
    q = at[0] if found.is_minimum and at is not None and len(at) else found.q
    pitch = "" if model.spiral is None else " (a spiral is one for the propagation of lowest energy alone)"
    other = "other directions" if float(q.abs().max()) < 1e-6 else "an order with that propagation"
    return (
        f"{head} a minimum of the energy with these parameters: it is unstable at q = {_three(q)}; change the "
        f"parameters, or give {other} (sqwirrel order finds one){pitch}"
    )


def _three(values: Float[Tensor, "3"]) -> str:
    return f"({', '.join(f'{x + 0.0:.3f}' for x in values.round(decimals=3).tolist())})"
