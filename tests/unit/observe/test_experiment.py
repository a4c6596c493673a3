"""Experiment: order of names, exact derivatives, rows worked on in any number at once, noise, and one-sentence refusals."""

import pytest
import torch
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.observe import (
    AngularQWidth,
    Experiment,
    Gaussian,
    GaussianResolution,
    Instrument,
    OffsetResolution,
    PlanarBackground,
    Poisson,
    PolynomialResolution,
    SlopedBackground,
    TableResolution,
    TailedResolution,
)
from sqwirrel.observe import experiment as module
from sqwirrel.observe.views import build
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum

CHAIN = library.load("fm_chain")
MODEL = library.load("rb2mnf4")
ENERGY = torch.linspace(0.5, 8, 46, dtype=torch.float64)
MAP = Measurement(QShells(torch.linspace(0.5, 2, 7, dtype=torch.float64)), ENERGY, 5.0, incident_energy=20)
EVERYTHING = Instrument(
    resolution=OffsetResolution(TailedResolution(PolynomialResolution(1))),
    background=PlanarBackground(),
    counting=Poisson(),
    q_width=AngularQWidth(),
    multiple_scattering=True,
    q_response=2,
)
NUISANCES = {
    "fwhm_0": 0.5,
    "fwhm_1": -0.02,
    "tail": 0.3,
    "tail_length": 0.4,
    "energy_offset": 0.1,
    "fwhm_angle": 1.5,
    "multiple": 0.1,
    "response_1": 0.3,
    "response_2": -0.1,
    "scale": 20.0,
    "background": 0.5,
    "background_slope": 0.02,
    "background_slope_q": -0.1,
}
FULL = Experiment(MODEL, MAP, EVERYTHING, samples=8, cell=0.25, seed=2)
SIMPLE = Experiment(MODEL, MAP, Instrument(counting=Poisson()), samples=8, cell=0.25)
PATH = Measurement(QPath(CHAIN.lattice, [[0.2, 0, 0], [0.4, 0, 0]], torch.zeros(3, 3)), [0.5, 1, 2, 3, 4, 5], 5.0)


PATH_FINE = Measurement(QPath(CHAIN.lattice, [[0.25, 0, 0]] * 5, torch.zeros(3, 3)), torch.linspace(0.5, 5, 46), 5.0)


def rows(n: int, seed: int = 1) -> Tensor:
    """Rows of parameters within 5 % of the published ones."""
    noise = torch.rand(n, len(FULL.names), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return FULL.pack(**NUISANCES) * (0.95 + 0.1 * noise)


def test_names_are_those_of_the_model_then_the_nuisances_in_order() -> None:
    assert FULL.names == ("J1", "J2", "D", *NUISANCES)
    assert FULL.linear == ("scale", "background", "background_slope", "background_slope_q")
    path = Experiment(CHAIN, PATH, Instrument(), samples=1)
    assert path.names == ("J", "fwhm", "scale", "background")  # no |Q| width where there are no shells
    assert FULL.units == {
        **dict.fromkeys(("J1", "J2", "D"), "meV"),
        **{"fwhm_0": "meV", "fwhm_1": "", "tail": "", "tail_length": "meV", "energy_offset": "meV"},
        **{"fwhm_angle": "deg", "response_1": "", "response_2": ""},
        **{"multiple": "", "scale": "", "background": ""},
        **{"background_slope": "1/meV", "background_slope_q": "angstrom"},
    }


def test_every_column_is_the_parameter_of_its_name() -> None:
    """Changing one value changes what it should: nothing but the background where there is no signal, and so on."""
    base = FULL(FULL.pack(**NUISANCES))[0]
    raised = FULL(FULL.pack(**{**NUISANCES, "background": 1.5}))[0]
    assert torch.allclose(raised, base + 1, atol=1e-12)
    doubled = FULL(FULL.pack(**{**NUISANCES, "scale": 40.0}))[0] - FULL.signal(FULL.pack(**NUISANCES)).expected[0] * 20
    assert torch.allclose(doubled, base, atol=1e-12)
    tilted = FULL(FULL.pack(**{**NUISANCES, "background_slope_q": 0.9}))[0] - base
    away = MAP.points.centres - 1.25
    assert torch.allclose(tilted, away[:, None].expand_as(tilted), atol=1e-12)


def test_derivatives_are_exact() -> None:
    """Those of the model too: the deposit has no kinks where a mode crosses a line of the energy grid."""
    theta = rows(2)
    slope = FULL.linearise(theta).slope
    for k, name in enumerate(FULL.names):
        step = torch.zeros_like(theta)
        step[:, k] = 5e-7 * theta[:, k].abs()
        finite = (FULL(theta + step) - FULL(theta - step)) / (2 * step[:, k, None, None])
        # Second-order error 2e-8 (modes near zero energy), rounding 1e-14 / 5e-7, of the largest derivative.
        assert float((slope[:, k] - finite).abs().max()) < 1e-7 * float(finite.abs().max()), name


def test_linearised_value_is_the_prediction() -> None:
    """Two codes (compiled, and torch with derivatives) at rounding of an eigenvalue problem."""
    theta = rows(3)
    assert torch.allclose(FULL.linearise(theta).expected, FULL.predict(theta).expected, rtol=1e-9, atol=1e-9)


def test_rows_in_chunks_equal_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    theta = rows(5)
    at_once, slopes, signal = FULL.predict(theta), FULL.linearise(theta), FULL.signal(theta)
    monkeypatch.setattr(module, "ROWS_BYTES", 1)
    assert FULL._rows() == 1
    for one, other in ((at_once, FULL.predict(theta)), (slopes, FULL.linearise(theta)), (signal, FULL.signal(theta))):
        for a, b in zip(one, other, strict=True):
            assert a.dtype == b.dtype
            assert torch.allclose(a.double(), b.double(), rtol=1e-12, atol=1e-12)


def test_rows_that_differ_in_nuisances_alone_share_their_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    theta = rows(4)
    theta[[0, 2], :3] = theta[3, :3]
    one_by_one = torch.cat([FULL.predict(row[None]).expected for row in theta])
    solved, deposit = [], FULL._deposit
    monkeypatch.setattr(FULL, "_deposit", lambda own: (solved.append(len(own)), deposit(own))[1])
    with torch.no_grad():
        torch.testing.assert_close(FULL.predict(theta).expected, one_by_one, rtol=1e-12, atol=1e-12)
    assert solved == [2]


def test_prediction_is_scale_times_signal_plus_background() -> None:
    theta = rows(2)
    amplitude = theta[:, [FULL.names.index(name) for name in FULL.linear]]
    shapes = torch.cat((FULL.signal(theta).expected[:, None], FULL.templates.expand(2, -1, -1, -1)), 1)
    assert torch.allclose(FULL(theta), torch.einsum("bk,bkne->bne", amplitude, shapes), rtol=1e-12)


def test_multiple_scattering_adds_the_same_to_every_momentum() -> None:
    """The template is linear in `multiple`, flat along |Q|, and the mean of the signal over |Q| d|Q|."""
    experiment = Experiment(MODEL, MAP, Instrument(multiple_scattering=True), samples=8, cell=0.25)

    def signal(multiple: float) -> Tensor:
        theta = experiment.pack(fwhm=0.5, fwhm_q=0.05, multiple=multiple, scale=1, background=0)
        return experiment.signal(theta).expected[0]

    template = (signal(0.2) - signal(0.0)) / 0.2
    assert torch.allclose(signal(0.1), signal(0.0) + 0.1 * template, atol=1e-12)
    assert torch.allclose(template, template[:1].expand_as(template), rtol=1e-9, atol=1e-12)
    edges = MAP.points.edges
    wide = ((edges**2).diff() @ signal(0.0)) / (edges[-1] ** 2 - edges[0] ** 2)
    # The template also has the cells beyond the range, which |Q| d|Q| weighs heavily.
    assert float(template[0].sum()) == pytest.approx(float(wide.sum()), rel=0.2)


def test_a_response_along_momentum_multiplies_the_signal_and_not_the_background() -> None:
    """exp(a P_1 + b P_2), x from -1 to 1 over the measured |Q|."""
    instrument = Instrument(q_response=2, multiple_scattering=True)
    experiment = Experiment(MODEL, MAP, instrument, samples=8, cell=0.25)
    how = {"fwhm": 0.5, "fwhm_q": 0.05, "multiple": 0.2, "scale": 2.0, "background": 0.7}
    flat, bent = (experiment(experiment.pack(**how, response_1=a, response_2=b))[0] for a, b in ((0, 0), (0.4, -0.3)))
    x = (MAP.points.centres - 1.25) / 0.75
    expected = torch.exp(0.4 * x - 0.3 * (3 * x**2 - 1) / 2)[:, None]
    assert torch.allclose(bent - 0.7, (flat - 0.7) * expected, rtol=1e-9, atol=1e-12)


def test_an_offset_loses_nothing_at_the_ends() -> None:
    """With widths from a table, whose lines end close beyond the bins."""
    table = TableResolution([-1, 10], [0.1, 0.1])
    still, moved = (
        Experiment(MODEL, MAP, Instrument(each), samples=8, cell=0.25) for each in (table, OffsetResolution(table))
    )
    how = {"fwhm_scale": 1.0, "fwhm_q": 0.05, "scale": 1.0, "background": 0.0}
    a, b = still(still.pack(**how))[0], moved(moved.pack(**how, energy_offset=0.0))[0]
    assert torch.allclose(a.sum(1), b.sum(1), rtol=0.02)
    assert float(moved.line[0]) < float(MAP.energy[0]) - 0.15


def test_a_response_along_momentum_is_of_powders() -> None:
    with pytest.raises(InputError, match=r"response along \|Q\| is that of a powder map"):
        Experiment(CHAIN, PATH, Instrument(q_response=1))


def test_unstable_order_is_a_flag_with_a_sentence() -> None:
    theta = torch.cat((SIMPLE.pack(fwhm=0.3, fwhm_q=0.05, scale=1, background=0),) * 2)
    theta[1, 0] *= -1
    assert SIMPLE.predict(theta).stable.tolist() == [True, False]
    assert SIMPLE.linearise(theta).stable.tolist() == [True, False]
    assert "rb2mnf4' is not a minimum of the energy" in SIMPLE.why_unstable(theta[1:])
    with pytest.raises(InputError, match=r"unstable at q = \(-?\d"):
        SIMPLE.sample(theta[1:], 1)


def test_values_are_given_by_name() -> None:
    with pytest.raises(InputError, match="needs values for 'fwhm', 'fwhm_q', 'background'"):
        SIMPLE.pack(scale=1)
    with pytest.raises(InputError, match="got 'width'"):
        SIMPLE.pack(width=1, fwhm=1, fwhm_q=0.1, scale=1, background=0)
    packed = SIMPLE.pack(background=4, J1=1, fwhm=2, fwhm_q=0.1, scale=3)
    assert packed[0].tolist() == [1, MODEL.defaults["J2"], MODEL.defaults["D"], 2, 0.1, 3, 4]


def test_an_anchored_average_is_that_of_many_points_and_tells_its_scatter() -> None:
    """Averages with different points agree where they are anchored, to the scatter that they tell; elsewhere nearly."""
    theta = SIMPLE.pack(fwhm=0.5, fwhm_q=0.05, scale=200, background=20)
    near = theta * torch.tensor([1.01, 1, 1, 1.02, 1, 1.03, 1], dtype=torch.float64)
    raw = [Experiment(MODEL, MAP, SIMPLE.instrument, samples=8, cell=0.25, seed=100 * k) for k in range(12)]
    found = [each.anchored(theta) for each in raw]
    at, beside, before = (
        torch.stack([each(where)[0] for each in group])
        for group, where in (
            ([f.experiment for f in found], theta),
            ([f.experiment for f in found], near),
            (raw, theta),
        )
    )
    told = torch.stack([f.scatter.square().mean(0) for f in found]).mean(0)
    assert float((at.var(0) / told).mean()) == pytest.approx(1, abs=0.25)
    assert float(before.var(0).sum()) > 6 * float(at.var(0).sum())
    assert float(before.var(0).sum()) > 6 * float(beside.var(0).sum())
    better = found[0].experiment
    assert torch.allclose(better.linearise(theta).expected, better(theta), rtol=1e-9, atol=1e-9)
    assert raw[0].control is None  # the experiment itself stays as it was
    finer = raw[0].anchored(theta, more=4)
    assert float(finer.scatter.square().sum()) < 0.5 * float(found[0].scatter.square().sum())


def test_sets_of_points_hold_no_more_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    theta = SIMPLE.pack(fwhm=0.5, fwhm_q=0.05, scale=200, background=20)
    usual = SIMPLE.anchored(theta).scatter
    monkeypatch.setattr(build, "SET_BYTES", 1)
    assert torch.equal(SIMPLE.anchored(theta, more=16).scatter, usual)


def test_anchored_derivatives_are_those_of_many_points_and_tell_their_scatter() -> None:
    """As for the average itself; far from the anchor nothing is left of them."""
    theta = SIMPLE.pack(fwhm=0.5, fwhm_q=0.05, scale=200, background=20)
    spread = torch.full((len(SIMPLE.names),), 0.01, dtype=torch.float64)
    raw = [Experiment(MODEL, MAP, SIMPLE.instrument, samples=8, cell=0.25, seed=100 * k) for k in range(12)]
    found = [each.anchored(theta, spread) for each in raw]
    before, at = (
        torch.stack([each.linearise(theta).slope[0, :-1] for each in group])
        for group in (raw, [f.experiment for f in found])
    )
    told = torch.stack([f.rise[:, :-1].square().mean(0) for f in found]).mean(0)
    ratio = at.var(0).sum((1, 2)) / told.sum((1, 2))  # the last parameter is the background, which needs no average
    assert ratio.tolist() == pytest.approx([1] * 6, abs=0.35)
    assert float(before.var(0).sum()) > 4 * float(at.var(0).sum())
    # The derivative is that of the expectation, with and without the anchor.
    step = torch.zeros_like(theta)
    step[0, 0] = 1e-5
    each = found[0].experiment
    assert torch.allclose((each(theta + step) - each(theta - step))[0] / 2e-5, at[0][0], rtol=1e-4, atol=1e-3)
    # Its share of a step of k standard deviations: nearly all within three, none far away.
    control, direction = each.control, torch.zeros(3, dtype=torch.float64)
    direction[0] = 0.01
    share = [
        float((control.add((control.at + k * direction)[None])[0] - control.value).sum())
        / float(k * 0.01 * control.slope[0].sum())
        for k in (1, 3, 50)
    ]
    assert share == pytest.approx([1, 1, 0], abs=0.05)


def test_a_sharp_path_has_nothing_to_correct() -> None:
    path = Experiment(CHAIN, PATH, Instrument(GaussianResolution()), samples=1)
    theta = path.pack(fwhm=0.2, scale=3, background=1)
    dense = path.anchored(theta, torch.ones(len(path.names), dtype=torch.float64))
    assert torch.allclose(dense.experiment(theta), path(theta), rtol=1e-9, atol=1e-12)
    assert torch.allclose(dense.experiment.linearise(theta).slope, path.linearise(theta).slope, rtol=1e-9, atol=1e-9)
    assert float(dense.scatter.abs().max()) < 1e-12
    assert len(dense.unstable) == 0


def test_dense_points_find_an_instability_that_few_points_miss() -> None:
    """An easy plane makes the easy-axis order unstable, but only near the ordering vector."""
    theta = SIMPLE.pack(J2=-0.05, D=1e-3, fwhm=0.5, fwhm_q=0.05, scale=200, background=20)
    assert bool(SIMPLE.predict(theta).stable.all())
    unstable = SIMPLE.anchored(theta).unstable
    assert len(unstable) > 0
    assert "unstable at q = (0.000, 0.000, 0.000)" in SIMPLE.why_unstable(theta, unstable)


def test_a_mode_leaves_the_window_without_a_jump() -> None:
    """Half a width beyond, what a wide line leaves inside is still that of the line, and changes little by little."""
    where = Measurement(QPath(CHAIN.lattice, [[0.5, 0, 0]], torch.zeros(3, 3)), torch.linspace(10, 40, 11), 5.0)
    seen = Experiment(CHAIN, where, Instrument(counting=Poisson()))
    J = -torch.linspace(10, 13, 121, dtype=torch.float64)  # the mode is at 4 |J|
    rest = seen.pack(J=-10, fwhm=6, scale=1, background=0)
    with torch.no_grad():
        last = seen.predict(torch.cat((J[:, None], rest.expand(121, -1)[:, 1:]), dim=1)).expected[:, 0, -1]
    assert float(last[-1]) < 0.03 * float(last[0])
    assert float((last.diff() / last[0]).abs().max()) < 0.04


def test_a_bragg_peak_on_a_path_has_no_inelastic_intensity() -> None:
    """A Goldstone mode of infinite intensity at zero energy, two widths from the window."""
    path = QPath(CHAIN.lattice, [[1.0, 0, 0], [1.1, 0, 0], [1.5, 0, 0]], torch.zeros(3, 3))
    seen = Experiment(CHAIN, Measurement(path, torch.linspace(1, 5, 9), 5.0), Instrument(counting=Poisson()))
    theta = seen.pack(J=-1, fwhm=1, scale=1, background=0)
    for given in (theta, theta.clone().requires_grad_()):
        with torch.set_grad_enabled(given.requires_grad):
            bragg, near, boundary = seen.predict(given).expected[0].sum(-1).tolist()
        assert bragg < 1e-6 * near
        assert 0 < near < boundary


def test_measurement_needs_a_temperature() -> None:
    with pytest.raises(InputError, match="no temperature"):
        Experiment(MODEL, Measurement(MAP.points, ENERGY, None), Instrument())


def test_counts_scatter_round_the_expectation() -> None:
    """Deviance per bin of a spectrum drawn from the model is one within 5 standard errors."""
    theta = SIMPLE.pack(fwhm=0.5, fwhm_q=0.05, scale=200, background=20)
    drawn = SIMPLE.sample(theta, 3)
    assert drawn.is_counts
    assert torch.equal(drawn.intensity, SIMPLE.sample(theta, 3).intensity)
    assert not torch.equal(drawn.intensity, SIMPLE.sample(theta, 4).intensity)
    chi2 = (drawn.intensity - SIMPLE(theta)[0]) ** 2 / SIMPLE(theta)[0]
    assert float(chi2.mean()) == pytest.approx(1, abs=5 * (2 / chi2.numel()) ** 0.5)


def test_reduced_data_scatter_like_the_ones_given() -> None:
    experiment = Experiment(MODEL, MAP, Instrument(counting=Gaussian()), samples=8, cell=0.25)
    theta = experiment.pack(fwhm=0.5, fwhm_q=0.05, scale=200, background=20)
    with pytest.raises(InputError, match="needs the errors of a measured spectrum"):
        experiment.sample(theta, 1)
    valid = torch.rand(MAP.shape, generator=torch.Generator().manual_seed(1)) > 0.2
    pixels = torch.full(MAP.shape, 7.0, dtype=torch.float64)
    like = Spectrum.from_arrays(*torch.full((2, *MAP.shape), 3.0, dtype=torch.float64), MAP, valid=valid, pixels=pixels)
    drawn = experiment.sample(theta, 1, like)
    assert torch.equal(drawn.valid, valid)
    assert torch.allclose(drawn.error[valid], torch.full_like(drawn.error[valid], 3))
    assert drawn.pixels is not None
    assert bool((drawn.pixels[valid] == 7).all())
    away = (drawn.intensity - experiment(theta)[0])[valid] / 3
    assert float(away.var()) == pytest.approx(1, abs=5 * (2 / int(valid.sum())) ** 0.5)


def test_energy_slope_is_about_the_middle_of_the_range() -> None:
    path = Experiment(CHAIN, PATH, Instrument(GaussianResolution(), SlopedBackground()), samples=1)
    flat = path(path.pack(fwhm=0.2, scale=0, background=3, background_slope=2))[0]
    assert torch.allclose(flat, 3 + 2 * (PATH.energy_centres - 2.75).expand_as(flat))


def test_noise_of_reduced_data_follows_a_sharp_line() -> None:
    """Errors of counts: the variance drawn is that of the expectation, not the mean of its neighbourhood."""
    path = Experiment(CHAIN, PATH_FINE, Instrument(GaussianResolution(), counting=Gaussian()), samples=1)
    theta = path.pack(fwhm=0.3, scale=300, background=20)
    mean = path(theta)[0]
    like = Spectrum.from_arrays(mean, mean.sqrt(), PATH_FINE)
    drawn = torch.stack([path.sample(theta, seed, like).intensity for seed in range(400)])
    ratio = drawn.var(0) / mean
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)
    assert float(ratio.std()) < 0.12  # 0.07 from 400 draws
