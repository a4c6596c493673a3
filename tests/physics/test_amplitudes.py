"""Amplitudes of few modes for many looks, real or in blocks: those of all operators by plain linear algebra."""

import pytest
import torch
from torch import Tensor

from sqwirrel.model import library
from sqwirrel.model.spin import SpinModel
from sqwirrel.simulate.looks.amplitudes import Amplitudes, Seen, _present
from sqwirrel.simulate.looks.folding import fold, is_free
from sqwirrel.simulate.looks.groups import groups
from sqwirrel.simulate.quadratic.blocks import Blocks
from sqwirrel.simulate.quadratic.eigen import eigenmodes, metric
from sqwirrel.simulate.quadratic.quadratures import Quadratures
from tests.cases import in_larger_cell, random_model, random_q, tensor

C_AXIS = tensor([0, 0, 1])
DIMER, PCSMO = library.load("pcsmo_dimer"), library.load("pcsmo_goodenough")
FIELDS = [(0.0, 0.0, 0.0), (1.0, 2.0, 3.0)]


def amplitudes(model: SpinModel, field: tuple[float, float, float] = FIELDS[0], n: int = 5) -> Amplitudes:
    """At wavevectors, across the c axis if nothing is coupled along it, most of them with their opposites."""
    q = random_q(n) * (tensor([1, 1, 0]) if is_free(model, C_AXIS) else 1)
    return Amplitudes(model, torch.cat((q, -q[1:])), groups(model, C_AXIS), field)


@torch.no_grad()
def plain(found: Amplitudes, theta: Tensor) -> Seen:
    """The same at every wavevector by itself, from all operators; `stable` does not ask for a stationary order."""
    expansion = found.waves.expansion(theta)
    moments = found._moments(expansion.directions)
    energy, amplitude, stable = eigenmodes(expansion.at(found.q[found.listed]), moments[:, None])
    n, component = energy.shape[-1] // 2, _present(moments)
    parts = found._parts(amplitude[..., :n, :], component).permute(0, 1, 3, 4, 2)
    return Seen(energy[..., :n], parts.to(torch.float32), component, stable)


def gram(amplitude: Tensor) -> Tensor:
    """Products of the parts, summed over modes: those of one energy may share them differently."""
    parts = torch.complex(*amplitude.to(torch.float64).chunk(2, dim=-2))
    return torch.einsum("bqpam,bqpcm->bqpac", parts, parts.conj())


def assert_right(found: Amplitudes, theta: Tensor) -> None:
    ours, theirs, fixed = found(theta), plain(found, theta), found.waves.is_stationary(theta)
    assert torch.equal(ours.stable, theirs.stable & fixed[:, None])
    assert torch.equal(ours.component, theirs.component)
    assert bool(theirs.stable.any())
    assert torch.allclose(ours.energy[theirs.stable], theirs.energy[theirs.stable], rtol=0, atol=1e-9)
    one, other = (gram(each.amplitude)[theirs.stable] for each in (ours, theirs))
    assert float((one - other).abs().max()) < 5e-7 * float(other.abs().max())


@pytest.mark.parametrize("field", FIELDS, ids=["no field", "field"])
@pytest.mark.parametrize("name", ["pcsmo_zener", "bi2fe4o9", "kfe3j", "canted", "dm_chain", "yb2ti2o7"])
def test_an_order_that_follows_the_parameters_has_the_modes_of_all_operators(
    name: str, field: tuple[float, float, float]
) -> None:
    model = library.load(name)
    found = amplitudes(model, (0.0, 0.0, field[2]) if model.spiral is not None else field)
    assert isinstance(found.form, Blocks)
    assert found.form.value is None
    assert found.mirrored == 4
    assert_right(found, torch.cat((model.pack(), 1.02 * model.pack())))


@pytest.mark.parametrize("field", [*FIELDS, (0.0, 40.0, 0.0)], ids=str)
@pytest.mark.parametrize("name", ["pcsmo_dimer", "cu2v2o7", "zncu2v2o7"])
def test_blocks_of_a_fixed_order_have_the_modes_of_all_operators(name: str, field: tuple[float, float, float]) -> None:
    model = library.load(name)
    rows = torch.cat((model.pack(), 0.7 * model.pack(), -model.pack()))
    found = amplitudes(model, field)
    if bool(plain(found, rows).stable.any()):
        assert_right(found, rows)
    else:
        assert not bool(found(rows).stable.any())


@pytest.mark.parametrize("inversion", [True, False], ids=["inversion", "no inversion"])
@pytest.mark.parametrize("flat", [True, False], ids=["coplanar", "general"])
@pytest.mark.parametrize("double", [False, True], ids=["one cell", "two cells"])
def test_any_exchange_has_the_modes_of_all_operators(inversion: bool, flat: bool, double: bool) -> None:
    """General exchange has the antisymmetric part of Dzyaloshinskii and Moriya: modes at -q have other energies."""
    model = random_model(centred=False, flat=flat, inversion=inversion)
    model = in_larger_cell(model, 0) if double else model
    found, theta = amplitudes(model), tensor([[1.0, 2.5], [0.4, 2.0], [-0.8, 3.0]])
    assert isinstance(found.form, Quadratures if inversion else Blocks)
    assert_right(found, theta)
    energy = found(theta).energy
    there, back = energy[:, : found.mirrored], energy[:, -found.mirrored :]
    assert torch.allclose(there, back, atol=1e-9) is (inversion or flat)


@pytest.mark.parametrize(("name", "apart"), [("pcsmo_goodenough", True), ("kitaev", False)])
def test_real_forms_have_the_modes_of_all_operators(name: str, apart: bool) -> None:
    model = library.load(name)
    found = amplitudes(model)
    assert isinstance(found.form, Quadratures)
    assert found.form.apart is apart
    assert_right(found, model.pack())


@pytest.mark.parametrize("model", [PCSMO, DIMER], ids=lambda model: model.name)
@pytest.mark.parametrize(("mesh", "pairs"), [((9, 9, 0), 40), ((6, 8, 0), 17)])
def test_modes_at_minus_q_are_made_of_those_at_q(model: SpinModel, mesh: tuple[int, int, int], pairs: int) -> None:
    q = fold(model, random_q(3), C_AXIS, mesh)[0].solved
    q = q[q.norm(dim=1) > 0]  # where a Goldstone mode has an amplitude that rounding decides
    found = Amplitudes(model, q, groups(model, C_AXIS))
    assert found.mirrored == pairs
    ours, theirs = found(model.pack()), plain(found, model.pack())
    assert torch.allclose(ours.energy, theirs.energy, atol=1e-6)
    assert torch.allclose(*(gram(each.amplitude) for each in (ours, theirs)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["pcsmo_goodenough", "pcsmo_dimer", "pcsmo_zener"])
def test_a_batch_is_its_rows(name: str) -> None:
    model = library.load(name)
    rows = torch.cat([(1 + 0.03 * k) * model.pack() for k in range(3)])
    batch, alone = amplitudes(model)(rows), [amplitudes(model)(row[None]) for row in rows]
    for part in ("energy", "amplitude", "stable"):
        assert torch.equal(getattr(batch, part), torch.cat([getattr(each, part) for each in alone]))


@pytest.mark.parametrize(
    ("model", "field", "size"),
    [
        (DIMER, FIELDS[0], [8, 8, 8, 8]),  # the mirror between the layers, and the translation by b with spins turned
        (DIMER, FIELDS[1], [16, 16]),  # the mirror alone turns no spin out of the field
        (random_model(centred=False, flat=False, inversion=False), FIELDS[0], [8]),
        (in_larger_cell(random_model(centred=False, flat=False, inversion=False), 0), FIELDS[0], [8, 8]),
    ],
    ids=["dimer", "dimer in a field", "one cell", "two cells"],
)
def test_symmetry_takes_the_hamiltonian_apart(
    model: SpinModel, field: tuple[float, float, float], size: list[int]
) -> None:
    found = amplitudes(model, field)
    form = found.form
    assert isinstance(form, Blocks)
    assert form.edge.diff().tolist() == size
    n, one = len(model.spins), torch.eye(2 * len(model.spins), dtype=torch.complex128)
    assert torch.allclose(form.basis.mH @ form.basis, one, rtol=0, atol=1e-12)
    theta = torch.ones(1, len(model.names), dtype=torch.float64)
    H = form.basis.mH @ found.waves.expansion(theta).at(found.q) @ form.basis
    block = torch.bucketize(torch.arange(2 * n), form.edge[1:], right=True)
    assert float(H[..., block[:, None] != block].abs().sum()) < 1e-9
    signs = [
        torch.tensor([1.0] * int(own) + [-1.0] * (k - int(own))) for own, k in zip(form.positive, size, strict=True)
    ]
    turned = form.basis.mH @ torch.diag(metric(2 * n, n) + 0j) @ form.basis
    assert torch.allclose(turned, torch.diag(torch.cat(signs)).to(turned), rtol=0, atol=1e-12)
