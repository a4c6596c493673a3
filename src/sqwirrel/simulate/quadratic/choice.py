"""Which operators of a boson Hamiltonian have to be solved for, and in which form; found from its coefficients."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.quadratic.bosons import Bosons, Elements, common_moment, one_sided
from sqwirrel.simulate.quadratic.quadratures import Quadratures, quadratures
from sqwirrel.simulate.terms import Parts, Terms


class Choice(NamedTuple):
    """The operators and their matrix elements: `coefficient` of each parameter, if the order does not follow these.

    In a block of half the operators, what is seen of each is `factor` times the vector `common`. All operators of a
    fixed order may have a real form as well.
    """

    bosons: Bosons
    elements: Elements
    coefficient: Complex[Tensor, "parameter element"] | None
    factor: Float[Tensor, " boson"] | None
    common: Complex[Tensor, "3"] | None
    form: Quadratures | None


def choose(
    model: SpinModel,
    terms: Terms,
    source: Int[Tensor, " bond"],
    is_real: Bool[Tensor, " source"],
    directions: Float[Tensor, "site 3"],
    moments: Complex[Tensor, "side boson 3"],
    kind: Int[Tensor, " site"],
) -> Choice:
    """A block of its own where the order has one and the neutron sees one vector of it; else all operators.

    `source` and `is_real` are those of `Sources`.
    """
    parts = terms.parts(torch.eye(len(terms.linear), dtype=torch.float64), directions[None])
    bosons, factor, common = _block(model, terms, parts, directions, moments)
    elements = Elements.of(bosons, terms.i, terms.j, source)
    if model.relaxed:
        return Choice(bosons, elements, None, factor, common, None)
    value = elements.values(parts.raw)
    used = (value != 0).any(0)
    elements, value = elements.only(used), value[:, used]
    form = (
        None if bosons.mirrored else quadratures(elements, value, is_real, moments, directions, model.positions, kind)
    )
    return Choice(bosons, elements, value, factor, common, form)


def _block(
    model: SpinModel, terms: Terms, parts: Parts, directions: Tensor, moments: Tensor
) -> tuple[Bosons, Tensor | None, Tensor | None]:
    every = Bosons.every(len(directions))
    if model.relaxed or model.spiral is not None:
        return every, None, None
    block = one_sided(directions, terms.i, terms.j, parts)
    if block is None:
        return every, None, None
    factor, common = common_moment(moments[0, block.operators])
    return (every if factor is None else block), factor, common
