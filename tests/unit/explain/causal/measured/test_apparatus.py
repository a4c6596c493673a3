"""What an instrument might have instead, by its kind; at 0 it is the instrument that it was."""

import pytest
import torch

from sqwirrel.explain.causal.measured.apparatus import wider
from sqwirrel.model import library
from sqwirrel.observe import (
    ConstantBackground,
    Experiment,
    GaussianResolution,
    Instrument,
    PlanarBackground,
    PolynomialResolution,
    SlopedBackground,
    TableResolution,
    TailedResolution,
)
from sqwirrel.observe.background import ElasticBackground
from sqwirrel.observe.resolution import OffsetResolution
from sqwirrel.spectra import Measurement, QShells

GAUSSIAN = GaussianResolution()
KINDS = [
    (GAUSSIAN, ConstantBackground(), True, {"fwhm_1", "energy_offset", "background_slope", "background_slope_q"}),
    (GAUSSIAN, ConstantBackground(), False, {"fwhm_1", "energy_offset", "background_slope"}),
    (PolynomialResolution(1), SlopedBackground(), True, {"fwhm_2", "energy_offset", "background_slope_q"}),
    (PolynomialResolution(4), PlanarBackground(), True, {"energy_offset"}),
    (OffsetResolution(TableResolution((0.0, 9.0), (0.5, 0.4))), SlopedBackground(), False, set()),
    (TailedResolution(GAUSSIAN), ElasticBackground(0.5), False, {"fwhm_1", "energy_offset", "background_slope"}),
]


@pytest.mark.parametrize(("resolution", "background", "powder", "new"), KINDS)
def test_each_kind_has_its_rivals(resolution, background, powder, new) -> None:
    found = wider(Instrument(resolution, background), powder=powder)
    assert set(found.meanings) == new
    assert new <= set(found.instrument.names(powder=powder))


def test_an_instrument_with_more_does_nothing_at_zero() -> None:
    model = library.load("fm_chain")
    where = Measurement(QShells([0.5, 0.8, 1.1]), torch.linspace(0.5, 5, 19, dtype=torch.float64), 5.0)
    known = {"fwhm_q": 0.05, "scale": 100, "background": 2}
    plain = Experiment(model, where, Instrument(), samples=16)
    found = wider(plain.instrument, powder=True)
    more = Experiment(model, where, found.instrument, samples=16)
    assert found.known_as == {"fwhm_0": "fwhm"}
    zero = dict.fromkeys(found.meanings, 0.0)
    expected = plain(plain.pack(fwhm=0.5, **known))
    assert torch.allclose(more(more.pack(fwhm_0=0.5, **known, **zero)), expected, rtol=1e-3, atol=1e-3)
