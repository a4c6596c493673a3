"""The pages on slices and frames: a config takes what Python wrote, the example finds what it simulated with."""

import re
import runpy
from pathlib import Path

from sqwirrel.config import load, study
from sqwirrel.config.build import Study
from sqwirrel.observe import EllipsoidResolution, Robust
from sqwirrel.spectra import QGrid

EXAMPLE = Path(__file__).parents[2] / "examples" / "crystal_slice.py"


def test_the_example_finds_its_truth() -> None:
    example = runpy.run_path(str(EXAMPLE))
    posterior = example["run"]().posterior
    for row in posterior.summary():
        truth = {**example["TRUTH"], **example["LEVELS"]}[row.name]
        assert abs(row.median - truth) < 5 * row.limit, row.name
    assert posterior.passed
    assert len(posterior.basins) == 1


def written_and_read(page: str) -> Study:
    """The study of the config of a page, beside what the page's last Python wrote."""
    text = (EXAMPLE.parents[1] / "docs" / "how_to" / page).read_text(encoding="utf-8")
    code, config = (re.findall(rf"```{kind}\n(.*?)```", text, flags=re.DOTALL)[-1] for kind in ("python", "toml"))
    names: dict[str, object] = {}
    exec(compile(code, page, "exec"), names)
    folder = names["folder"]
    assert isinstance(folder, Path)
    (folder / "my.toml").write_text(config)
    return study(load(folder / "my.toml"))


def test_the_config_of_the_page_takes_what_its_python_wrote() -> None:
    work = written_and_read("slice.md")
    assert isinstance(work.experiment.instrument.resolution, EllipsoidResolution)
    assert isinstance(work.experiment.instrument.counting, Robust)
    assert work.spectrum.measurement.shape == (25, 40)
    counted = work.spectrum.valid & (work.spectrum.intensity > 0)
    assert bool((work.spectrum.error[counted] > 0).all())


def test_a_frame_becomes_what_the_config_of_the_page_on_crystals_takes() -> None:
    work = written_and_read("crystal.md")
    points = work.spectrum.measurement.points
    assert isinstance(points, QGrid)
    assert points.beam is not None
    assert {"JF1", "fwhm_scale", "background_slope"} <= set(work.prior.names)
    assert int(work.spectrum.valid.sum()) <= 10 * (400 - 4)
    assert not bool(work.spectrum.valid.reshape(20, 20, 10)[9:11, 9:11].any())
