"""Terms that a Hamiltonian might lack: bonds, anisotropies and springs that the symmetry of its crystal allows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.explain.causal.measured.turning import turning
from sqwirrel.model import symmetry
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.magnetic.order import MagneticCell
from sqwirrel.model.magnetic.terms import Anisotropy, Coupling
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.model.phonon.springs import Springs
from sqwirrel.model.spin import SpinModel

FURTHER = 1.5
"""Bonds are looked for up to this many times the longest one of the model, if no length is given."""
SAME = 1e-3
"""Lattices (A) and positions (fractional) that differ by less are the same."""
FREE = "however weak it is, moments turn far: nothing but the new term holds them where they are"
AXES, HEISENBERG = "xyz", "Heisenberg exchange"
Term = Coupling | Anisotropy | Springs


class Addition(NamedTuple):
    """A term at 0 that a model has not: `meaning` in words, why it cannot be added (empty if it can), and whether it
    turns moments that lie along their fields, so that the order must follow it.
    """

    name: str
    meaning: str
    term: Term
    refused: str = ""
    tilts: bool = False

    @property
    def unit(self) -> str:
        """Of its parameter."""
        return "N/m" if isinstance(self.term, Springs) else "meV"


def additions(
    model: SpinModel | PhononModel,
    crystal: Crystal,
    values: Mapping[str, float],
    field: Float[Tensor, "3"],
    max_distance: float | None = None,
) -> list[Addition]:
    """All terms up to `max_distance` (A) that the symmetry of `crystal` allows and `model` has not, at `values` of its
    parameters and in a `field` (T).

    Of spins: Heisenberg exchange on all bonds, Dzyaloshinskii-Moriya and anisotropic exchange (symmetric, without
    trace) on those that couple already, anisotropies S.A.S of all sites, one for each number that symmetry leaves free.
    Of springs: all that symmetry leaves free on further bonds. Raises InputError if the model is not
    one of this crystal.
    """
    reach = FURTHER * _longest(model) if max_distance is None else max_distance
    if isinstance(model, PhononModel):
        return list(_springs(model, crystal, reach))
    cell = _cell(model, crystal)
    found = (
        *_exchange(model, cell, reach),
        *_onsite(model, cell),
    )
    return [_judged(model, each, values, field) for each in found]


def with_terms(model: SpinModel | PhononModel, added: Sequence[Addition]) -> SpinModel | PhononModel:
    """The model with more terms."""
    if isinstance(model, PhononModel):
        return replace(model, springs=(*model.springs, *(x.term for x in added if isinstance(x.term, Springs))))
    return with_spins(model, added)


def with_spins(model: SpinModel, added: Sequence[Addition]) -> SpinModel:
    """A model of spins with more terms; if one of them tilts its order, that follows the parameters."""
    return replace(
        model,
        couplings=(*model.couplings, *(x.term for x in added if isinstance(x.term, Coupling))),
        anisotropies=(*model.anisotropies, *(x.term for x in added if isinstance(x.term, Anisotropy))),
        relaxed=model.relaxed or any(each.tilts for each in added),
    )


def _judged(model: SpinModel, addition: Addition, values: Mapping[str, float], field: Float[Tensor, "3"]) -> Addition:
    """With what stands against it, and whether it tilts the order."""
    if addition.refused:
        return addition
    try:
        tilts, follows = turning(model, with_spins(model, [addition]), values, field)
        addition = addition._replace(tilts=tilts, refused="" if follows else FREE)
        with_spins(model, [addition])  # which has now an order that follows
    except InputError as error:
        return addition._replace(refused=str(error))
    return addition


def _longest(model: SpinModel | PhononModel) -> float:
    """The longest bond, A."""
    bonds = model.springs if isinstance(model, PhononModel) else model.couplings
    if not bonds:
        raise InputError(f"model '{model.name}' has no bonds to say how far others may reach; give max_distance, in A")
    steps = [each.offset + model.positions[each.j] - model.positions[each.i] for each in bonds]
    return float((torch.cat(steps) @ model.cell.vectors).norm(dim=1).max())


def _cell(model: SpinModel, crystal: Crystal) -> MagneticCell:
    """The magnetic cell of the model on the magnetic sites of the crystal."""
    vectors = crystal.lattice.vectors
    chemical = model.positions @ model.supercell
    site, _, found = symmetry.locate(chemical, crystal.positions, vectors)
    magnetic = crystal.only(list(dict.fromkeys(crystal.kinds[k] for k in site.tolist())))
    every = abs(len(magnetic.sites) * float(torch.linalg.det(model.supercell).abs()) - len(chemical)) < SAME
    same = torch.allclose(vectors, model.lattice.vectors, rtol=0, atol=SAME)
    if not (same and every and bool(found.all())):
        raise InputError(
            f"model '{model.name}' is not one of this crystal: its cell or its magnetic sites are others; give "
            "library.crystal() of the same model, or the crystal of the file that it was made from"
        )
    site, shift, _ = symmetry.locate(chemical, magnetic.positions, vectors)
    return MagneticCell(magnetic, model.supercell, site, shift, model.directions)


def _exchange(model: SpinModel, cell: MagneticCell, longest: float) -> Iterator[Addition]:
    """Heisenberg exchange on all bonds, other exchange on those that have some already."""
    coupled = {bond for each in model.couplings for bond in _directed(each)}
    for orbit in cell.crystal.bonds(longest):
        for name, kind, matrix in _allowed(orbit.allowed):
            bonds = cell.bonds(orbit, cell.crystal.propagate_exchange(orbit, matrix))
            coupling = Coupling(name.format(orbit.name), *bonds)
            if kind != HEISENBERG and coupled.isdisjoint(_directed(coupling)):
                break
            if not _has_exchange(model, coupling):
                yield Addition(coupling.name, f"{kind} on bond {orbit.name}, {orbit.distance:.2f} A", coupling)


def _allowed(allowed: Float[Tensor, "basis 3 3"]) -> Iterator[tuple[str, str, Float[Tensor, "3 3"]]]:
    """Name, kind and matrix of what symmetry leaves free on the first bond of an orbit."""
    yield "J({})", HEISENBERG, torch.eye(3, dtype=torch.float64)
    for D in symmetry.antisymmetric(allowed):
        x, y, z = D.tolist()
        cross = torch.tensor([[0, z, -y], [-z, 0, x], [y, -x, 0]], dtype=torch.float64)
        yield f"DM({{}}){AXES[_pivot(D)]}", "Dzyaloshinskii-Moriya exchange", cross
    for matrix in symmetry.traceless(allowed):
        yield f"A({{}}){_element(matrix)}", "anisotropic exchange", matrix


def _onsite(model: SpinModel, cell: MagneticCell) -> Iterator[Addition]:
    for kind in dict.fromkeys(cell.crystal.kinds):
        copies = torch.tensor([k for k, each in enumerate(cell.crystal.kinds) if each == kind])
        atom, copy = (cell.site[:, None] == copies).nonzero(as_tuple=True)
        for matrix in symmetry.traceless(cell.crystal.allowed_anisotropy(kind)):
            turned = cell.crystal.propagate_site(kind, matrix, "anisotropy")
            term = Anisotropy(f"D({kind}){_element(matrix)}", atom, turned[copy])
            if not _has_anisotropy(model, term):
                refused = "a spin 1/2 has no such anisotropy" if float(model.spins[atom].max()) < 1 else ""
                yield Addition(term.name, f"single-ion anisotropy of {kind}", term, refused)


def _has_exchange(model: SpinModel, added: Coupling) -> bool:
    """Whether couplings on the same bonds amount to it already."""
    mine = _directed(added)
    first, target = next(iter(mine.items()))
    known = [_directed(each) for each in model.couplings if not each.squared]
    known = [each for each in known if each.keys() == mine.keys()]
    return bool(known) and symmetry.contains(torch.stack([each[first] for each in known]), target)


def _directed(coupling: Coupling) -> dict[symmetry.Ends, Float[Tensor, "3 3"]]:
    """Matrices of all bonds in both directions."""
    ends = zip(coupling.i.tolist(), coupling.j.tolist(), coupling.offset.tolist(), strict=True)
    there = {(i, j, (n[0], n[1], n[2])): M for (i, j, n), M in zip(ends, coupling.matrix, strict=True)}
    return there | {symmetry.reverse(bond): M.T for bond, M in there.items()}


def _has_anisotropy(model: SpinModel, added: Anisotropy) -> bool:
    """Whether anisotropies on the same sites amount to it already, but for a constant."""
    known = [each for each in model.anisotropies if set(each.site.tolist()) == set(added.site.tolist())]
    first = int(added.site[0])
    there = [each.matrix[each.site.tolist().index(first)] for each in known]
    one = torch.eye(3, dtype=torch.float64)
    return bool(there) and symmetry.contains(torch.stack([*there, one]), added.matrix[0])


def _springs(model: PhononModel, crystal: Crystal, longest: float) -> Iterator[Addition]:
    """Springs of a Born-von Karman model that reaches further."""
    more = born_von_karman(crystal, longest)
    alike = more.positions.shape == model.positions.shape and more.elements == model.elements
    pairs = ((more.cell.vectors, model.cell.vectors), (more.positions, model.positions))
    if not alike or not all(torch.allclose(a, b, rtol=0, atol=SAME) for a, b in pairs):
        raise InputError(
            f"model '{model.name}' is not a Born-von Karman model of this crystal: its cell or its atoms are others; "
            "give the crystal that it was made from"
        )
    steps = ((each, each.offset[0] + more.positions[each.j[0]] - more.positions[each.i[0]]) for each in more.springs)
    for each, step in steps:
        if each.name not in model.names:
            yield Addition(each.name, f"a spring of {float((step @ more.cell.vectors).norm()):.2f} A", each)


def _pivot(vector: Float[Tensor, " any"]) -> int:
    return int(vector.ne(0).nonzero()[0])


def _element(matrix: Float[Tensor, "3 3"]) -> str:
    """The first element that is not zero, as xy."""
    return "".join(AXES[k] for k in divmod(_pivot(matrix.flatten()), 3))
