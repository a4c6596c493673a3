"""What is known of a model's order: is the given one a minimum, what lies lower, and an [order] table to paste."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.model.magnetic.arrangement import Arrangement
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate import SpinWaves
from sqwirrel.simulate.classical.luttinger_tisza import LuttingerTisza, luttinger_tisza
from sqwirrel.simulate.classical.search import SAME_ENERGY, Minimum, energy_of, ground_states, is_plain
from sqwirrel.simulate.stability import Stability, stability, why_unstable

SAME = 100 * SAME_ENERGY
"""Energies that differ by less, relative, are not told apart."""


class Orders(NamedTuple):
    """The given order, the minima in its cell, and the bound over all orders; energies in meV per ion.

    There is no bound where the energy is more than matrices between moments and on them, and with biquadratic
    exchange, which is known round the given order alone, neither an energy nor minima.
    """

    model: SpinModel
    theta: Float[Tensor, "1 parameter"]
    energy: float | None
    stability: Stability
    minima: list[Minimum]
    bound: LuttingerTisza | None

    @property
    def best(self) -> Arrangement:
        """The order of lowest energy that was found."""
        if self.bound is not None and self.bound.arrangement is not None:
            return self.bound.arrangement
        return Arrangement.of(self.model, self.minima[0].directions if self.minima else self.model.directions)

    @property
    def is_beaten(self) -> bool:
        """Whether an order of lower energy was found in its cell."""
        lowest = self.minima[0].energy if self.minima else None
        return lowest is not None and self.energy is not None and lowest < self.energy - SAME * abs(lowest)

    @property
    def is_lowest(self) -> bool:
        """Whether no order can be lower."""
        bound, energy = self.bound, self.energy
        return bound is not None and energy is not None and energy <= bound.energy + SAME * abs(bound.energy)


def look(model: SpinModel, theta: Float[Tensor, "1 parameter"]) -> Orders:
    """Looks at the order of a model, without a field."""
    found = stability(model, theta)
    if any(coupling.squared for coupling in model.couplings):
        return Orders(model, theta, None, found, [], None)
    given = SpinWaves(model, torch.zeros(1, 3, dtype=torch.float64), keep=False).expansion(theta).directions[0]
    energy = float(energy_of(model, theta).value(given[None])) / len(given)
    bound = luttinger_tisza(model, theta) if is_plain(model) else None
    return Orders(model, theta, energy, found, ground_states(model, theta), bound)


def as_mapping(orders: Orders) -> dict[str, object]:
    """Numbers for machines; energies in meV per ion, wavevectors in rlu."""
    found, bound = orders.stability, orders.bound
    return {
        "model": orders.model.name,
        "parameters": dict(zip(orders.model.names, orders.theta[0].tolist(), strict=True)),
        "given": {
            "energy": orders.energy,
            "is_stationary": found.is_stationary,
            "is_minimum": found.is_minimum,
            "lowest_eigenvalue": found.eigenvalue if found.is_stationary else None,
            "q": found.q.tolist() if found.is_stationary else None,
        },
        "minima": [
            {"energy": each.energy, "starts": each.starts, "directions": each.directions.tolist()}
            for each in orders.minima
        ],
        "bound": bound
        and {
            "energy": bound.energy,
            "k": bound.k.tolist(),
            "flat_directions": bound.flat,
            "is_reached": bound.arrangement is not None,
        },
        "order": orders.best.to_toml(),
    }


def rows(orders: Orders) -> list[tuple[str, str, str]]:
    """What, energy (meV per ion), and what is to be said of it."""
    found, bound = orders.stability, orders.bound
    soft = f"the lowest eigenvalue of H(q) is {found.eigenvalue:.3g} meV, at q = {_point(found.q)}"
    given = f"a minimum; {soft}" if found.is_minimum else "no minimum" if found.is_stationary else "not stationary"
    table = [("given order", "" if orders.energy is None else f"{orders.energy:.6g}", given)]
    if orders.minima:
        table.append(_lowest(orders.minima))
    if bound is not None:
        where = f"Luttinger-Tisza, k = {' or '.join(map(_point, bound.k))}"
        table.append(("bound of all orders", f"{bound.energy:.6g}", where))
    return table


def _lowest(minima: list[Minimum]) -> tuple[str, str, str]:
    lowest = minima[0].energy
    equal = [each for each in minima if each.energy <= lowest + SAME * abs(lowest)]
    starts = f"{sum(e.starts for e in equal)} of {sum(e.starts for e in minima)} starts"
    kinds = "" if len(equal) == 1 else f", in {len(equal)} arrangements"
    return "lowest in its cell", f"{lowest:.6g}", starts + kinds


def sentences(orders: Orders) -> Iterator[str]:
    """What follows from the rows."""
    bound = orders.bound
    if not orders.stability.is_minimum:
        yield why_unstable(orders.model, orders.stability).partition(";")[0]
    if orders.energy is None:
        yield "with biquadratic exchange no other order is looked for: its energy is known round the given one alone"
    elif bound is None:
        yield "no bound over all orders is known with Stevens operators or dipoles"
        yield "an order of lower energy in the same cell:" if orders.is_beaten else "nothing lower is in its cell"
    elif bound.flat:
        yield f"no k is chosen: the lowest modes are degenerate along {bound.flat} direction(s) of the zone"
    if orders.is_lowest:
        yield "the given order has the lowest energy that any order can have"
    elif bound is not None and bound.arrangement is not None:
        yield "an order of lower energy, the lowest that any can have:"
    elif bound is not None and orders.is_beaten:
        yield "an order of lower energy in the same cell; the bound is reached by no moments of equal length at this k:"
    elif bound is not None:
        yield "nothing lower was found in its cell; the bound is reached by no moments of equal length at this k"


def _point(q: Float[Tensor, "3"]) -> str:
    return f"({', '.join(f'{x + 0.0:.4g}' for x in q.round(decimals=6).tolist())})"
