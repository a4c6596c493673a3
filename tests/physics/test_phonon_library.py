"""Published phonon models: what was printed comes back, and energies are those that were measured."""

import itertools
import re
from functools import cache
from math import sqrt

import pytest
import torch
from torch import Tensor, float64

from sqwirrel.errors import InputError
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.library import matrices, structures
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.simulate.phonon.dynamical import basis, dynamical
from sqwirrel.simulate.phonon.phonons import Phonons

MEV_PER_THZ = 4.135667696
GPA = 1.66053907e-27 / 1e-30 * 1e-20 / 6.582119569e-13**2 / 1e9
"""u/A^3 (meV A)^2 / hbar^2 in GPa: density times the square of a velocity."""

load = cache(library.load)


def energies(name: str, q: object) -> Tensor:
    """Of the branches, meV, highest first."""
    model = load(name)
    return Phonons(model, torch.as_tensor(q, dtype=float64)).energies(model.pack())[0]


def stiffness(name: str, direction: list[float]) -> list[float]:
    """rho v^2 of the three sound waves that go this way (Cartesian), GPa, fastest first; negative where imaginary."""
    model, step = load(name), 1e-3
    along = torch.tensor([direction], dtype=float64)
    slope = energies(name, model.lattice.to_rlu(step * along / along.norm()))[0, -3:] / step
    density = float(model.masses.sum()) / model.cell.volume
    return (slope.sign() * slope**2 * density * GPA).tolist()


def test_every_set_of_the_source_is_here_or_left_out_for_a_reason() -> None:
    assert len(library.names()) == 43
    assert len(library.LEFT_OUT) == 4
    for name in library.LEFT_OUT:
        with pytest.raises(InputError, match=f"'{name}' is left out of the library: "):
            library.load(name)
    with pytest.raises(InputError, match=r"no phonon model 'au'; the library has ag_296k, al_300k, al_80k, "):
        library.load("au")


@pytest.mark.parametrize("name", library.names())
def test_models_have_papers_and_all_their_parameters(name: str) -> None:
    model, table = load(name), library.published(name)
    assert name == f"{table['element'].lower()}_{table['temperature']:g}k" == model.name
    assert model.papers
    assert all(re.search(r"19\d\d\)", paper) for paper in model.papers)
    assert set(model.defaults) == set(model.names)
    assert model.pack().isfinite().all()
    assert table["element"] in model.title


def place(table: dict[str, object], neighbour: str) -> Tensor:
    """Where a neighbour is, A, in the axes of the paper; shells of hcp in the order of lengths if c / a is ideal."""
    a = float(table["a"])  # type: ignore[arg-type]
    c = float(table.get("c", a))  # type: ignore[arg-type]
    if table["structure"] != "hcp":
        return torch.tensor([int(n) * edge / 2 for n, edge in zip(neighbour, (a, a, c), strict=True)], dtype=float64)
    third = a / sqrt(3)
    shells = [(third, 0, c / 2), (0, a, 0), (-2 * third, 0, c / 2), (0, 0, c), (2.5 * third, a / 2, c / 2)]
    shells += [(3 * third, 0, 0), (0, a, c), (0, 2 * a, 0)]
    return torch.tensor(shells[int(neighbour) - 1], dtype=float64)


def matrix_on(model: PhononModel, step: Tensor, hcp: bool) -> Tensor:
    """-Phi of the first atom and that which is `step` away (Cartesian), from the springs between them."""
    A, found = model.cell.vectors, torch.zeros(3, 3, dtype=float64)
    (first,) = [k for k, x in enumerate(model.positions @ A) if not hcp or float(x[2]) < model.lattice.c / 2]
    for springs in model.springs:
        way = (springs.offset.double() + model.positions[springs.j] - model.positions[springs.i]) @ A
        forth = (springs.i == first) & ((way - step).norm(dim=1) < 1e-3)
        back = (springs.j == first) & ((way + step).norm(dim=1) < 1e-3)
        sum_of = springs.matrix[forth].sum(0) + springs.matrix[back].sum(0).T
        found += model.defaults[springs.name] * sum_of
    return found


@pytest.mark.parametrize("name", library.names())
def test_springs_have_the_printed_matrices(name: str) -> None:
    table, model = library.published(name), load(name)
    hcp = table["structure"] == "hcp"
    turned = [[sqrt(0.75), -0.5, 0], [0.5, sqrt(0.75), 0], [0, 0, 1]]  # x, y, z of the paper
    axes = torch.tensor(turned, dtype=float64) if hcp else torch.eye(3, dtype=float64)
    for neighbour, numbers in table["springs"].items():
        step = place(table, neighbour)
        matrix = axes @ matrix_on(model, step @ axes, hcp) @ axes.T
        r = step / step.norm()
        if "f_r" in numbers:
            printed = numbers["f_r"] * torch.outer(r, r) + numbers["f_t"] * (torch.eye(3) - torch.outer(r, r))
            assert torch.allclose(matrix, printed, atol=2e-9)
        elif "K" in numbers:
            across = torch.tensor([numbers["C_Bx"], numbers["C_Bx"], numbers["C_Bz"]], dtype=float64)
            assert torch.allclose(matrix, numbers["K"] * torch.outer(r, r) + torch.diag(across), atol=2e-9)
        else:
            elements = {key: float(matrix["xyz".index(key[0]), "xyz".index(key[1])]) for key in numbers}
            assert elements == pytest.approx(numbers, abs=2e-9)


@pytest.mark.parametrize("name", library.names())
def test_models_are_stable(name: str) -> None:
    """Beside symmetry in half of the zone, and along all directions of symmetry near its centre."""
    model = load(name)
    mesh = torch.cartesian_prod(torch.arange(6), torch.arange(6), torch.arange(3)).to(float64)
    mesh = model.cell.to_cartesian((mesh + torch.tensor([0.5, 0.477, 0.523], dtype=float64)) / 6)
    directions = [x for x in itertools.product((-1, 0, 1), repeat=3) if x > (0, 0, 0)]
    near = torch.nn.functional.normalize(torch.tensor(directions, dtype=float64))
    wave = torch.cat((mesh, 0.01 * near, 0.1 * near, 0.2 * near))  # 1/A
    assert float(torch.linalg.eigvalsh(dynamical(basis(model, wave), model.pack())).min()) > 0


CUBIC = {
    "al_80k": (113.6, 31.3),
    "al_300k": (106.8, 28.3),
    "ag_296k": (124.0, 46.1),
    "au_295k": (192.9, 41.5),
    "ce_295k": (26.0, 17.3),
    "cr_300k": (350.0, 100.8),
    "cu_49k": (176.0, 81.7),
    "cu_80k": (175.0, 81.0),
    "cu_296k": (168.4, 75.4),
    "fe_295k": (231.4, 116.4),
    "k_9k": (4.16, 2.86),
    "li_98k": (14.8, 10.8),
    "mo_296k": (463.0, 109.0),
    "nb_296k": (246.6, 28.1),
    "ni_296k": (246.5, 124.7),
    "ni_298k": (246.5, 124.7),
    "pb_80k": (54.0, 18.0),
    "pd_296k": (227.1, 71.7),
    "pt_90k": (346.7, 76.5),
    "th_296k": (75.3, 47.8),
    "v_296k": (228.7, 43.2),
    "w_298k": (523.3, 160.7),
}
"""C11 and C44, GPa, near the temperature of the model, of G. Simmons and H. Wang, Single Crystal Elastic Constants and
Calculated Aggregate Properties (MIT Press, 1971), as most handbooks have them; rounded."""
HEXAGONAL = {
    "ho_298k": (79.6, 25.9),
    "mg_290k": (61.6, 16.4),
    "tb_298k": (74.4, 21.8),
    "ti_295k": (180.7, 46.7),
    "y_295k": (76.9, 24.3),
    "zn_80k": (68.5, 45.9),
    "zr_295k": (164.9, 32.1),
}
"""C33 and C44, GPa, from the same."""
FAR = {
    "ag_296k": 0.19,
    "ce_295k": 0.13,
    "cr_300k": 0.31,
    "k_9k": 0.12,
    "mg_290k": 0.20,
    "mo_296k": 0.17,
    "pb_80k": 0.31,
    "ti_295k": 0.28,
    "v_296k": 0.29,
    "zn_80k": 0.44,
    "zr_295k": 0.13,
}
"""Models that are further from the handbook than a tenth: sound was not among what they were fitted to."""


@pytest.mark.parametrize("name", [*CUBIC, *HEXAGONAL])
def test_sound_is_as_fast_as_in_handbooks(name: str) -> None:
    hcp = name in HEXAGONAL
    along, across, other = stiffness(name, [0, 0, 1] if hcp else [1, 0, 0])
    assert across == pytest.approx(other, rel=1e-6)
    expected = HEXAGONAL[name] if hcp else CUBIC[name]
    assert (along, across) == pytest.approx(expected, rel=FAR.get(name, 0.10))


@pytest.mark.parametrize("name", HEXAGONAL)
def test_turning_a_hexagonal_crystal_costs_nothing(name: str) -> None:
    """C44 of waves along c is C44 of waves in the plane that move along c; no symmetry makes them equal."""
    across = stiffness(name, [0, 0, 1])[1]
    assert min(abs(each / across - 1) for each in stiffness(name, [1, 0, 0])[1:]) < 0.08


@pytest.mark.parametrize(
    ("name", "q", "terahertz"),
    [
        ("al_80k", (1, 0, 0), (9.69, 5.78, 5.78)),
        ("al_80k", (0.5, 0.5, 0.5), (9.69, 4.19, 4.19)),
        ("cu_80k", (1, 0, 0), (7.40, 5.16, 5.16)),
        ("cu_296k", (1, 0, 0), (7.25, 5.13, 5.13)),
        ("cu_296k", (0.5, 0.5, 0.5), (7.30, 3.42, 3.42)),
        ("au_295k", (1, 0, 0), (4.61, 2.75, 2.75)),
        ("ni_296k", (1, 0, 0), (8.55, 6.27, 6.27)),
        ("pt_90k", (1, 0, 0), (5.80, 3.84, 3.84)),
        ("na_90k", (0.5, 0.5, 0), (3.82, 2.56, 0.93)),
        ("na_90k", (1, 0, 0), (3.58, 3.58, 3.58)),
        ("k_9k", (0.5, 0.5, 0), (2.40, 1.50, 0.56)),
        ("k_9k", (1, 0, 0), (2.21, 2.21, 2.21)),
        ("fe_295k", (1, 0, 0), (8.56, 8.56, 8.56)),
        ("nb_296k", (1, 0, 0), (6.49, 6.49, 6.49)),
        ("nb_296k", (0.5, 0.5, 0), (5.66, 5.07, 3.93)),
    ],
)
def test_energies_at_symmetry_points_were_measured(
    name: str, q: tuple[float, ...], terahertz: tuple[float, ...]
) -> None:
    """Al: R. Stedman, G. Nilsson, Phys. Rev. 145, 492 (1966); K: R. A. Cowley, A. D. B. Woods, G. Dolling, Phys. Rev.
    150, 487 (1966); others: the papers of the models."""
    assert (energies(name, [q])[0] / MEV_PER_THZ).tolist() == pytest.approx(terahertz, rel=0.03)


@pytest.mark.parametrize(
    ("name", "shift"), [("mg_290k", 122), ("ti_295k", 140), ("y_295k", 86), ("zn_80k", 73), ("zr_295k", 88)]
)
def test_raman_active_modes_of_hexagonal_metals(name: str, shift: float) -> None:
    """cm^-1: J. H. Parker, D. W. Feldman, M. Ashkin, Phys. Rev. 155, 712 (1967), and later measurements."""
    assert energies(name, [[0, 0, 0]])[0, 1:3].tolist() == pytest.approx([shift * 0.1239842] * 2, rel=0.08)


@pytest.mark.parametrize(
    ("name", "general", "digits"),
    [
        ("al_300k", 0, 3),
        ("au_295k", 1, 2),
        ("cu_49k", 0, 3),
        ("cu_673k", 1, 3),
        ("cu_973k", 1, 3),
        ("cu_1336k", 1, 3),
        ("k_9k", 0, 4),
        ("ni_296k", 0, 3),
    ],
)
def test_models_that_are_axially_symmetric_are(name: str, general: int, digits: int) -> None:
    """Two numbers give all that is printed of a neighbour, within the rounding of its elements."""
    for neighbour, numbers in list(library.published(name)["springs"].items())[general:]:
        r = place({"structure": "fcc", "a": 1.0}, neighbour)
        r = r / r.norm()
        rows = [("xyz".index(key[0]), "xyz".index(key[1])) for key in numbers]
        A = torch.tensor([[float(r[i] * r[j]), float(i == j) - float(r[i] * r[j])] for i, j in rows], dtype=float64)
        b = torch.tensor(list(numbers.values()), dtype=float64)
        rest = b - A @ torch.linalg.lstsq(A, b[:, None]).solution[:, 0]
        assert float(rest.abs().max()) <= 0.75 * 10**-digits, neighbour


def test_an_alloy_scatters_as_its_mean_nucleus() -> None:
    model = load("co_297k")
    assert model.title == "Co0.92Fe0.08, fcc, 297 K, springs to 4 neighbours"
    assert float(model.masses[0]) == pytest.approx(0.92 * 58.933 + 0.08 * 55.845, abs=0.01)
    assert float(model.lengths[0]) == pytest.approx(0.92 * 2.49 + 0.08 * 9.45, abs=0.02)
    disorder = 0.04 * torch.pi * 0.92 * 0.08 * (9.45 - 2.49) ** 2
    assert float(model.incoherent[0]) == pytest.approx(0.92 * 4.8 + 0.08 * 0.4 + disorder, abs=0.05)


def test_force_constants_that_symmetry_forbids_are_refused() -> None:
    along = torch.tensor([1.0, 0, 0], dtype=float64)
    allowed = torch.diag_embed(torch.tensor([[1.0, 0, 0], [0, 1, 1]])).double()
    assert matrices.matrix_of({"xx": 2.0, "yy": 3.0}, along, allowed, "it").diagonal().tolist() == [2, 3, 3]
    with pytest.raises(InputError, match=r"symmetry forbids .* for it; it allows \[\[a, 0, 0\], \[0, b, 0\]"):
        matrices.matrix_of({"xx": 2.0, "yy": 3.0, "xy": 1.0}, along, allowed, "it")
    with pytest.raises(InputError, match="symmetry forbids"):
        matrices.matrix_of({"K": 2.0, "C_Bx": 3.0, "C_Bz": 1.0}, along, allowed, "it")
    with pytest.raises(InputError, match="do not say all that is free in it"):
        matrices.matrix_of({"xx": 2.0}, along, allowed, "it")
    with pytest.raises(InputError, match="it has 'f_r'; write elements"):
        matrices.matrix_of({"f_r": 2.0}, along, allowed, "it")


def test_a_neighbour_without_an_atom_is_refused() -> None:
    table = {"element": "Na", "structure": "bcc", "a": 4.28, "springs": {"100": {"xx": 1.0, "yy": 1.0}}}
    with pytest.raises(InputError, match="there is no atom at neighbour '100'"):
        structures.neighbours_of(table, structures.crystal_of(table))
