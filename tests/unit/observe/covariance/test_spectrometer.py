"""Descriptions of spectrometers: what is missing is named, what is open is noted; points out of reach are named."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.lattice import Lattice
from sqwirrel.observe.covariance import Reflector, Spectrometer, covariance, read_spectrometer
from sqwirrel.observe.covariance.spectrometer import SPACINGS, WIDE_OPEN, spacing_of
from sqwirrel.spectra import Measurement, QPath
from sqwirrel.spectra.points import QPoints

CRYSTAL = {"type": "PG002", "mosaic_h": 30, "mosaic_v": 35, "sense": "-"}
PLACES = ("pre_mono", "pre_sample", "post_sample", "post_ana")
DESCRIPTION: dict[str, Any] = {
    "monochromator": CRYSTAL,
    "goniometer": {"sense": "+", "type": "Y,-Z,X"},
    "analyzer": {**CRYSTAL, "type": "Pg002", "d_spacing": 3.354, "mosaic_h": 90, "curved_v": True},
    "collimators": {f"{way}_{place}": 40 + n for way in "hv" for n, place in enumerate(PLACES)},
    "sample": {"mosaic_h": 20, "mosaic_v": 10},
    "distances": {"src_mono": 530.0},
}
TOML = """
fixed = "initial"
monochromator = { type = "Si111", mosaic_h = 1, mosaic_v = 1, sense = "+" }
goniometer = { sense = "-" }
analyzer = { type = "Cu111", mosaic_h = 1, mosaic_v = 1, sense = 1 }
[collimators]
h_pre_mono = 20
"""


def changed(where: str, value: Any = None) -> dict[str, Any]:
    """The description with one key set, or taken away."""
    table = copy.deepcopy(DESCRIPTION)
    *parts, last = where.split(".")
    inner = table
    for part in parts:
        inner = inner[part]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return table


def test_a_description_is_what_it_says() -> None:
    spectrometer = Spectrometer.from_mapping(DESCRIPTION)
    assert spectrometer.monochromator.spacing == SPACINGS["PG002"]
    assert spectrometer.analyser.spacing == 3.354
    assert spectrometer.analyser.mosaic.tolist() == [90, 35]
    assert (spectrometer.monochromator.sense, spectrometer.sample_sense, spectrometer.analyser.sense) == (-1, 1, -1)
    assert spectrometer.horizontal.tolist() == spectrometer.vertical.tolist() == [40, 41, 42, 43]
    assert spectrometer.sample_mosaic.tolist() == [20, 10]
    assert spectrometer.fixed == "final"
    assert spectrometer.notes == ("analyzer: curved_v is ignored, the crystal is taken for flat",)


def test_toml_and_what_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "tas.toml").write_text(TOML)
    (tmp_path / "tas.json").write_text(json.dumps(DESCRIPTION))
    spectrometer = read_spectrometer(tmp_path / "tas.toml")
    assert spectrometer.horizontal.tolist() == [20, WIDE_OPEN, WIDE_OPEN, WIDE_OPEN]
    assert spectrometer.fixed == "initial"
    assert "collimators.h_pre_sample: none, taken as 600' FWHM" in spectrometer.notes
    assert len(spectrometer.notes) == 8
    assert read_spectrometer(tmp_path / "tas.json").vertical.tolist() == [40, 41, 42, 43]
    assert Spectrometer.from_mapping(changed("collimators.h_post_ana", 0)).horizontal[3] == WIDE_OPEN


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (changed("collimators"), "lacks the table 'collimators'"),
        (changed("analyzer"), "lacks the table 'analyzer'"),
        (changed("analyzer.mosaic_v"), "lacks the key 'analyzer.mosaic_v'"),
        (changed("monochromator.type"), "lacks the key 'monochromator.type'"),
        (changed("monochromator.type", "XY7"), "the reflector 'XY7' is not known; give d_spacing in angstrom or one of"),
        (changed("goniometer.sense"), "lacks the key 'goniometer.sense'"),
        (changed("goniometer.sense", "left"), "goniometer.sense = 'left'; it must be '+'"),
        (changed("collimators.v_pre_mono", "wide"), "collimators.v_pre_mono = 'wide'; it must be a number"),
        (changed("collimators.v_pre_mono", -40), "the vertical collimation needs 4 widths in minutes (FWHM), positive"),
        (changed("sample.mosaic_h", -1), "the mosaic of the sample needs 2 widths in minutes (FWHM), at least 0"),
        (changed("sample.mosaic_h"), "lacks the key 'sample.mosaic_h'"),
        (changed("sample", 30), "lacks the table 'sample'"),
        (changed("fixed", "both"), "fixed = 'both'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_a_sentence(table: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        Spectrometer.from_mapping(table)
    assert words in str(error.value)


def test_files_that_are_no_descriptions(tmp_path: Path) -> None:
    for text, words in (
        ("{", "is JSON that is damaged"),
        ("a = ", "is not TOML"),
        ("a = 1", "lacks the table"),
    ):
        (tmp_path / "tas").write_text(text)
        with pytest.raises(InputError, match=words):
            read_spectrometer(tmp_path / "tas")


@pytest.mark.parametrize("name", ["PG002", "pg(002)", "Pg-002"])
def test_spelling_of_crystals(name: str) -> None:
    assert spacing_of(name) == 3.35416


def test_bad_reflectors() -> None:
    for arguments, words in (
        ((0.0, (30, 30), 1), "the spacing of a reflector is 0.0"),
        ((3.3, (30, 0), 1), "positive"),
        ((3.3, (30, 30), 2), "sense is 2"),
    ):
        with pytest.raises(InputError, match=words):
            Reflector(*arguments)


CELL = Lattice(5, 5, 5)
REACHED = [1.0, 0.0, 0.0]


def scan(q: list[float], energy: float, final: float | None = 14.7, plane: Any = ((1, 0, 0), (0, 1, 0))) -> Measurement:
    """Two points, of which the first can be reached."""
    return Measurement(QPoints(CELL, [REACHED, q], plane=plane), [[0, 0], [energy, energy]], 5.0, final_energy=final)


@pytest.mark.parametrize(
    ("q", "energy", "words"),
    [
        ([9.0, 0, 0], 3.0, "point 1, q = (9, 0, 0) at 3 meV: k_i = 2.923, k_f = 2.663 and |Q| = 11.31 1/angstrom do not"),
        ([0.0, 0, 0], 0.0, "|Q| = 0 1/angstrom do not close a triangle"),
        ([1.0, 0, 0], -20.0, "its incident or its final energy would be below zero"),
        ([1.0, 0, 0.3], 0.0, "it lies outside the scattering plane"),
        ([1.6, 0, 0], -13.0, "the monochromator does not reflect k_i = 0.9058"),
    ],
)  # fmt: skip
def test_the_first_point_out_of_reach_is_named(q: list[float], energy: float, words: str) -> None:
    with pytest.raises(InputError) as error:
        covariance(Spectrometer.from_mapping(DESCRIPTION), scan(q, energy))
    assert words in str(error.value)
    assert "does not reach point 1" in str(error.value)


def test_a_slight_tilt_is_within_reach() -> None:
    spread = covariance(Spectrometer.from_mapping(DESCRIPTION), scan([1.0, 0, 0.03], 0.0))
    assert torch.allclose(spread[1], spread[0], rtol=0.1, atol=1e-5)


def test_what_the_measurement_has_to_say() -> None:
    spectrometer = Spectrometer.from_mapping(DESCRIPTION)
    with pytest.raises(InputError, match="final energy is held fixed but the measurement does not say"):
        covariance(spectrometer, scan(REACHED, 0.0, final=None))
    with pytest.raises(InputError, match="needs the scattering plane of the scans"):
        covariance(spectrometer, scan(REACHED, 0.0, plane=None))
    path = Measurement(QPath(CELL, [REACHED], torch.zeros(3, 3)), [0.0, 1.0], 5.0, final_energy=14.7)
    with pytest.raises(InputError, match="needs the points of scans"):
        covariance(spectrometer, path)
