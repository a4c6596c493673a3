"""Joint experiments: what their parameters are called, and the labels that cannot be."""

import re
from dataclasses import replace

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.model import library
from sqwirrel.model.magnetic.terms import Coupling
from sqwirrel.model.prior import Prior
from sqwirrel.observe import Experiment, Instrument, Poisson, SlopedBackground, TableResolution
from sqwirrel.observe.joint import Joint
from sqwirrel.observe.peaks import PeakExperiment
from sqwirrel.spectra import Measurement, QPath, QPoints
from sqwirrel.spectra.peaks import Peaks

CHAIN = library.load("fm_chain")
TABLE = Peaks(CHAIN.lattice, [[0.2, 0, 0], [0.4, 0, 0]], [2.0, 3.0], [0.1, 0.1])
WHERE = Measurement(QPath(CHAIN.lattice, [[0.3, 0, 0]], torch.zeros(3, 3)), torch.linspace(0.5, 5, 10), 5.0)


def renamed_to(name: str) -> tuple[Coupling, ...]:
    return tuple(replace(each, name=name) for each in CHAIN.couplings)


def spectrum(**parts: object) -> Experiment:
    return Experiment(CHAIN, WHERE, Instrument(counting=Poisson(), **parts), samples=1)


def test_parameters_of_models_come_first_and_nuisances_have_labels() -> None:
    joint = Joint({"a": spectrum(), "tas": PeakExperiment(CHAIN, TABLE, extra=True)})
    assert joint.names == ("J", "fwhm_a", "scale_a", "background_a", "outliers_tas", "peak_width_extra_tas")
    assert joint.units == dict(zip(joint.names, ("meV", "meV", "", "", "", "meV"), strict=True))
    theta = joint.pack(J=-1, fwhm_a=0.3, scale_a=2, background_a=0, outliers_tas=0.1, peak_width_extra_tas=0.2)
    assert joint.rows("tas", theta).tolist() == [[-1, 0.1, 0.2]]
    assert joint.rows("a", theta).tolist() == [[-1, 0.3, 2, 0]]


def test_shared_nuisances_have_none() -> None:
    table = TableResolution((0.0, 5.0), (0.5, 0.3))
    parts = {"a": spectrum(resolution=table), "b": spectrum(resolution=table)}
    names = Joint(parts, shared=["fwhm_scale"]).names
    assert names == ("J", "fwhm_scale", "scale_a", "background_a", "scale_b", "background_b")


def test_models_may_differ() -> None:
    renamed = replace(CHAIN, couplings=renamed_to("J2"), defaults={"J2": -2.0}, prior=Prior())
    joint = Joint({"a": PeakExperiment(CHAIN, TABLE), "b": PeakExperiment(renamed, TABLE)})
    assert joint.names == ("J", "J2", "outliers_a", "outliers_b")
    assert joint.defaults == {"J": CHAIN.defaults["J"], "J2": -2.0}
    theta = joint.pack(outliers_a=0.1, outliers_b=0.2)
    assert joint.rows("b", theta).tolist() == [[-2.0, 0.2]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Joint({}), "at least one measurement"),
        (lambda: Joint({"6 K": spectrum()}), "called '6 K'; use letters"),
        (lambda: Joint({"": spectrum()}), "called ''; use letters"),
        (lambda: Joint({"a": spectrum()}, shared=["fwhm_q"]), "'fwhm_q' cannot be shared"),
        (lambda: Joint({"a": spectrum()}, shared=["J"]), "'J' cannot be shared"),
        (
            lambda: Joint({"b": spectrum(background=SlopedBackground()), "slope_b": spectrum()}),
            "'background_slope_b' would be a nuisance of 'b' and of 'slope_b'",
        ),
        (lambda: Joint({"a": spectrum()}).pack(scale=1), "got 'scale'"),
        (lambda: Joint({"a": spectrum()}).pack(), "need a value for 'fwhm_a'"),
    ],
)
def test_what_cannot_be_is_one_sentence(make: object, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        make()


def test_a_nuisance_called_as_a_parameter_of_a_model_is_refused() -> None:
    named = replace(CHAIN, couplings=renamed_to("fwhm_a"), defaults={}, prior=Prior())
    with pytest.raises(InputError, match="'fwhm_a' is a nuisance of 'a' and a parameter of a model"):
        Joint({"a": spectrum(), "b": PeakExperiment(named, TABLE)})


def test_one_scale_for_measurements_of_different_exposures_is_refused() -> None:
    """Each measurement is relative to its own median: a shared scale would predict the same counts for both."""
    points = QPoints(CHAIN.lattice, [[0.25, 0, 0]] * 3)
    energy = [[1.9, 1.9], [2.0, 2.0], [2.5, 2.5]]
    parts = {
        label: Experiment(CHAIN, Measurement(points, energy, 0.0, exposure=[[monitor]] * 3), Instrument(), samples=1)
        for label, monitor in (("short", 1000.0), ("long", 4000.0))
    }
    assert Joint(parts, shared=["fwhm"]).names.count("fwhm") == 1
    for name in ("scale", "background"):
        with pytest.raises(InputError, match=f"'{name}' is shared, but 'short' was counted for 1000"):
            Joint(parts, shared=[name])
