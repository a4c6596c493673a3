"""Powder maps of phonons: points that share modes are those of phonons one by one, and the average is that of a powder."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe import ConstantBackground, Experiment, GaussianResolution, Instrument
from sqwirrel.observe import experiment as experiments
from sqwirrel.observe.views import build, incoherent
from sqwirrel.observe.views.build import average_error
from sqwirrel.observe.views.derivatives import slopes
from sqwirrel.observe.views.folding import MOST, folded
from sqwirrel.observe.views.view import View
from sqwirrel.simulate.phonon import dynamical
from sqwirrel.simulate.phonon import folded as folded_phonons
from sqwirrel.simulate.phonon.folded import FoldedPhonons
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.phonon.thermal import ThermalMotion
from sqwirrel.spectra import Measurement, QShells
from tests.physics.test_phonons import AL, model_of

MAP = Measurement(QShells(torch.linspace(1.0, 5.0, 21)), torch.linspace(4.0, 44.0, 41), 100.0)


def aluminium() -> PhononModel:
    cell = [4.04] * 3 + [90] * 3
    return born_von_karman(Crystal.from_spacegroup(cell, 225, {"Al": [0, 0, 0]}), 4.2, values=AL)


def experiment(model: PhononModel, samples: int = 32, seed: int = 0) -> Experiment:
    instrument = Instrument(GaussianResolution(), ConstantBackground())
    return Experiment(model, MAP, instrument, samples=samples, seed=seed)


def packed(seen: Experiment) -> Tensor:
    return seen.pack(fwhm=2.0, fwhm_q=0.1, scale=1.0, background=0.0)


def test_points_that_share_modes_are_phonons() -> None:
    """Of a crystal with a basis and without inversion at its atoms: every phase counts."""
    model = model_of("diamond")
    where = folded(MAP.points, model.lattice, model.primitive, samples=2, width=0.2, seed=1)
    assert where.folding is not None
    thermal = ThermalMotion(model, 100.0, 4)
    shared = FoldedPhonons(model, *where.folding, temperature=100.0, thermal=thermal)
    single = Phonons(model, where.q, temperature=100.0, thermal=thermal)
    assert len(where.folding.zone) < len(where.q) / 3
    with torch.no_grad():
        ours, theirs = shared(model.pack()), single(model.pack())
    assert torch.allclose(ours.energy, theirs.energy, atol=1e-6)
    assert torch.allclose(ours.intensity, theirs.intensity, rtol=1e-6, atol=1e-9 * float(theirs.intensity.max()))
    assert torch.allclose(shared(model.pack()).intensity, ours.intensity, rtol=1e-9)


def test_weights_of_a_cell_sum_to_one_and_points_lie_in_it() -> None:
    model = model_of("rock salt")
    where = folded(MAP.points, model.lattice, model.primitive, samples=8, width=0.1, seed=1)
    radius = model.lattice.to_cartesian(where.q).norm(dim=1)
    assert where.edges is not None
    assert bool(((radius >= where.edges[where.cell] - 1e-9) & (radius <= where.edges[where.cell + 1] + 1e-9)).all())
    total = torch.zeros(int(where.cell.max()) + 1).double().index_add(0, where.cell, where.weight)
    assert torch.allclose(total, torch.ones_like(total))
    count = torch.bincount(where.cell, minlength=len(where.edges) - 1)
    assert int(count.min()) >= 8
    assert int(count.max()) < 1.5 * MOST * 8
    assert bool((where.cell.diff() >= 0).all())


def test_compiled_derivatives_are_those_of_the_formula() -> None:
    seen = experiment(model_of("diamond"), samples=2)
    theta = seen.model.pack()
    assert isinstance(seen.view, View)
    value, rise, stable = seen.view.slopes(theta)
    again, slope, _ = slopes(seen.view, theta)
    assert torch.allclose(value, again, rtol=1e-8, atol=1e-10 * float(again.max()))
    assert torch.allclose(rise, slope, rtol=1e-6, atol=1e-9 * float(slope.abs().max()))
    assert bool(stable.all())
    with torch.no_grad():
        step = 1e-4 * torch.eye(theta.shape[1], dtype=torch.float64)
        above, below = seen.view(theta + step).grid, seen.view(theta - step).grid
    for k, difference in enumerate((above - below) / 2e-4):
        assert float((rise[k, 0] - difference).norm()) < 1e-3 * float(difference.norm())


def test_parts_of_derivatives_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory for one point of the zone, some wavevectors of a mesh and one parameter at a time."""
    model = model_of("diamond")
    whole = experiment(model, samples=2)
    theta, spread = packed(whole), 0.01 * packed(whole)[0].abs()
    for module in (build, experiments):
        monkeypatch.setattr(module, "REPEATS", 2)
    one, dense = whole.linearise(theta), whole.anchored(theta, spread)
    monkeypatch.setattr(build, "PIECE_BYTES", 2**15)
    scarce = whole.anchored(theta, spread)
    for module, name, some in (
        (folded_phonons, "PART_BYTES", 1),
        (dynamical, "BLOCK_BYTES", 2**17),
        (incoherent, "BLOCK_BYTES", 2**16),
    ):
        monkeypatch.setattr(module, name, some)
    assert isinstance(whole.view, View)
    (solver,) = whole.view.solvers
    assert isinstance(solver, FoldedPhonons)
    rows = [rows for rows, _ in solver.parts(model.pack())]
    assert len(rows) > 0.9 * solver.basis.shape[1]
    assert torch.cat(rows).sort().values.equal(torch.arange(len(solver.place)))
    small = whole.linearise(theta)
    near = {"rtol": 1e-9, "atol": 1e-9 * float(one.slope.abs().max())}
    assert torch.allclose(small.slope, one.slope, **near)
    assert torch.allclose(small.expected, one.expected, **near)
    assert torch.allclose(scarce.scatter, dense.scatter, **near)
    assert torch.allclose(scarce.rise, dense.rise, **near)


def test_pieces_of_points_that_share_modes_hold_them_all() -> None:
    model = model_of("rock salt")
    where = folded(MAP.points, model.lattice, model.primitive, samples=2, width=0.2, seed=1)
    pieces = list(where.pieces(5))
    assert sum(len(piece.q) for piece in pieces) == len(where.q)
    for piece in pieces:
        assert piece.folding is not None
        assert len(piece.folding.zone) <= 5
        moved = piece.folding.zone[piece.folding.place] + piece.folding.shift[piece.folding.number]
        assert torch.equal(moved, piece.q)
        assert bool((piece.cell.diff() >= 0).all())
    total = torch.zeros(int(where.cell.max()) + 1).double()
    for piece in pieces:
        total.index_add_(0, piece.cell, piece.weight)
    assert torch.allclose(total, torch.ones_like(total))


MEMORY = """
import resource, torch
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.observe import ConstantBackground, Experiment, GaussianResolution, Instrument
from sqwirrel.spectra import Measurement, QShells
torch.set_num_threads(1)
cell = [4.76, 4.76, 12.99, 90, 90, 120]
corundum = born_von_karman(Crystal.from_spacegroup(cell, 167, {"Al": [0, 0, 0.3522], "O": [0.3063, 0, 0.25]}), 3.0)
where = Measurement(QShells(torch.linspace(1, 3, 11)), torch.linspace(5, 110, 41), 300.0)
seen = Experiment(corundum, where, Instrument(GaussianResolution(), ConstantBackground()), samples=16, cell=0.1)
values = {name: 100.0 * (name[-1] == name[-2]) / int(name[1:-2]) ** 1.5 for name in corundum.names}
theta = seen.pack(**values, fwhm=3.0, fwhm_q=0.1, scale=1.0, background=0.1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert bool(seen.linearise(theta).stable.all())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6)
"""


@pytest.mark.slow
def test_derivatives_of_ten_atoms_and_49_springs_take_half_a_gigabyte() -> None:
    """In a process of its own; with all points and parameters at once it was 1.2 GB."""
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 0.5


def test_more_points_go_to_the_average_over_all_directions() -> None:
    """Against directions one by one, 400 000 of them: phonons at random on spheres, weighed by nothing."""
    model = aluminium()
    few, many = (experiment(model, samples=n)(packed(experiment(model, samples=1)))[0] for n in (32, 256))
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(20, 20_000, 3, generator=generator, dtype=torch.float64)
    low, high = MAP.points.edges[:-1, None], MAP.points.edges[1:, None]
    radius = (low**3 + (high**3 - low**3) * torch.rand(20, 20_000, generator=generator, dtype=torch.float64)) ** (1 / 3)
    wave = torch.nn.functional.normalize(direction, dim=-1) * radius[..., None]
    thermal = ThermalMotion(model, 100.0)
    spectra = []
    with torch.no_grad():
        for shell in wave:
            modes = Phonons(model, model.lattice.to_rlu(shell), temperature=100.0, thermal=thermal)(model.pack())
            away = MAP.energy[:, None, None] - modes.energy[0]
            below = torch.special.ndtr(away / (2.0 / 2.3548))
            spectra.append((below.diff(dim=0) * modes.intensity[0]).sum((1, 2)) / len(shell) / MAP.energy.diff())
    exact = torch.stack(spectra)
    rows = slice(3, 17)  # away from the ends, over which |Q| is blurred in one and not in the other
    sharp = Experiment(model, MAP, Instrument(GaussianResolution(), ConstantBackground()), samples=256)(
        packed(experiment(model, samples=1)).where(torch.tensor([[True] * 6 + [False] + [True] * 2]), 1e-3)
    )[0]
    error = float((sharp - exact)[rows].norm() / exact[rows].norm())
    assert error < 0.06
    assert float((few - many).norm() / many.norm()) < 0.2


def test_a_batch_is_a_loop_and_unstable_rows_are_said() -> None:
    seen = experiment(aluminium(), samples=4)
    theta = packed(seen).repeat(3, 1)
    theta[1, :5] *= 1.1
    theta[2, :5] *= -1
    with torch.no_grad():
        found = seen.predict(theta)
        single = seen.predict(theta[1:2])
    assert found.stable.tolist() == [True, True, False]
    assert torch.allclose(found.expected[1], single.expected[0], rtol=1e-9)
    assert "do not hold the crystal together" in seen.why_unstable(theta[2:])


def test_rows_on_the_edge_of_stability_have_numbers() -> None:
    """Springs between those of aluminium and none of their signs: what is called stable is finite."""
    seen = experiment(aluminium(), samples=2)
    base, other = packed(seen), packed(seen)
    other[0, :5] *= torch.tensor([1.0, 1.0, 4.0, -2.0, 1.0])
    share = torch.linspace(0, 1, 60, dtype=torch.float64)[:, None]
    theta = base + share * (other - base)
    with torch.no_grad():
        found = seen.predict(theta)
    assert 5 < int(found.stable.sum()) < 55
    assert bool(found.expected[found.stable].isfinite().all())
    laid = seen.linearise(theta[found.stable])
    assert bool(laid.expected.isfinite().all() & laid.slope.isfinite().all())


def test_an_average_says_how_far_it_is_from_a_converged_one() -> None:
    """Of other points, and many more: the stated error is the one found, and the points of a view alone are further."""
    model = aluminium()
    theta = packed(experiment(model))
    seen = [experiment(model, samples=2, seed=1000 * k) for k in range(6)]
    found = [each.anchored(theta) for each in seen]
    with torch.no_grad():
        exact = torch.stack([experiment(model, samples=256, seed=k)(theta)[0] for k in range(1, 5)]).mean(0)
        away = torch.stack([each.experiment(theta)[0] - exact for each in found])
        alone = torch.stack([each(theta)[0] - exact for each in seen])
    size = (exact**2).mean().sqrt()
    said = sum(average_error(each.scatter, exact) ** 2 for each in found) ** 0.5 / len(found) ** 0.5
    assert float((away**2).mean().sqrt() / size) == pytest.approx(said, rel=0.35)
    assert float((alone**2).mean()) > 10 * float((away**2).mean())
