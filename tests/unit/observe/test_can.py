"""The can of a powder: what its phonons scatter is a template, and what a fit without it takes for the sample's."""

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import Settings, infer
from sqwirrel.lattice import Lattice
from sqwirrel.model.crystal import Crystal
from sqwirrel.model.phonon import library
from sqwirrel.model.phonon.born_von_karman import born_von_karman
from sqwirrel.model.prior import Prior
from sqwirrel.observe import ConstantBackground, Experiment, GaussianResolution, Instrument, SlopedBackground
from sqwirrel.observe.background import TemplateBackground
from sqwirrel.observe.background.can import with_can
from sqwirrel.spectra import Measurement, QPath, QShells, Spectrum

ENERGY = torch.linspace(12, 68, 29, dtype=torch.float64)
MAP = Measurement(QShells([3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0]), ENERGY, 300.0)
ALUMINIUM = library.load("al_300k")
SILICON = born_von_karman(
    Crystal.from_spacegroup([5.431] * 3 + [90, 90, 90], 227, {"Si": [0.125] * 3}),
    max_distance=2.5,
    values={"K1xx": 53.0, "K1xy": 37.0},
)
PLAIN = Instrument(GaussianResolution(), SlopedBackground())
AT = {"fwhm": 3.0, "fwhm_q": 0.5, "scale": 1.2, "background": 0.1, "background_slope": 0.0}


def test_a_can_is_a_map_of_its_material_and_several_phonons_count_as_in_the_sample() -> None:
    for multiphonon in (True, False):
        how = Instrument(GaussianResolution(), ConstantBackground(), multiphonon=multiphonon)
        alone = Experiment(ALUMINIUM, MAP, how, samples=256)
        expected = alone(alone.pack(fwhm=3.0, fwhm_q=0.5, scale=1.0, background=0.0))[0]
        background = with_can(how, ALUMINIUM, MAP, 3.0).background
        assert background.names == ("background", "background_can")
        torch.testing.assert_close(background.templates(MAP)[1], expected)


def test_counting_time_counts_once() -> None:
    times = torch.linspace(1, 2, 6, dtype=torch.float64)[:, None].expand(MAP.shape)
    timed = Measurement(MAP.points, ENERGY, 300.0, exposure=times)
    one, other = (Experiment(SILICON, where, with_can(PLAIN, ALUMINIUM, where, 3.0)) for where in (MAP, timed))
    torch.testing.assert_close(other.templates[2], one.templates[2] * times / times.median())


def test_springs_and_can_come_out_of_a_map_of_both() -> None:
    """Without the can springs are far off what was put in, and the misfit is seen."""
    seen, bare = (Experiment(SILICON, MAP, how, samples=16) for how in (with_can(PLAIN, ALUMINIUM, MAP, 3.0), PLAIN))
    exact = Experiment(SILICON, MAP, seen.instrument, samples=1024)
    level = exact(exact.pack(**AT, background_can=0.7))[0].detach()
    error = 0.03 * level
    noise = torch.randn(MAP.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    spectrum = Spectrum.from_arrays(level + error * noise, error, MAP)
    uniform = {"K1xx": [40, 65], "K1xy": [25, 50], "fwhm": [2, 5], "scale": [0.5, 3], "background": [0, 0.5]}
    free = {name: {"uniform": ends} for name, ends in uniform.items()} | {"fwhm_q": 0.5, "background_slope": 0.0}
    settings = Settings(screen=16, starts=2, draws=300, rounds=1)
    with_it = infer(seen, Prior.from_mapping({**free, "background_can": {"uniform": [0, 3]}}), spectrum, settings)
    without = infer(bare, Prior.from_mapping(free), spectrum, settings)
    found = {row.name: row.interval95 for row in with_it.summary()}
    for name, truth in {"K1xx": 53.0, "K1xy": 37.0, "background_can": 0.7}.items():
        assert found[name][0] < truth < found[name][1], name
    assert with_it.deviance_per_bin < 1.3
    assert without.deviance_per_bin > 2
    low, high = next(row.interval95 for row in without.summary() if row.name == "K1xy")
    assert not low < 37.0 < high


def test_crystals_have_their_cans_measured() -> None:
    q = [[0.1, 0, 0], [0.2, 0, 0]]
    path = Measurement(QPath(Lattice(4, 4, 4, 90, 90, 90), q, torch.zeros(3, 3)), ENERGY, 300.0)
    with pytest.raises(InputError, match="a can is calculated for powder maps; for a crystal, measure it"):
        with_can(PLAIN, ALUMINIUM, path, 3.0)


def test_merged_bins_keep_the_name_of_the_amplitude() -> None:
    background = with_can(PLAIN, ALUMINIUM, MAP, 3.0).background
    assert isinstance(background, TemplateBackground)
    assert background.rebinned(2, 2).names == background.names
