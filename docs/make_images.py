"""The pictures of README and pages: data, best fit and residuals of examples.

    python docs/make_images.py

Nothing measured is in those that are kept: examples/rb2mnf4_truth.toml simulates a spectrum and examples/rb2mnf4.toml
infers it; examples/crystal_slice.py does both; `POWDER` is simulated and inferred here. The measured La2NiO4 slice is
drawn into docs/generated, where its files lie beside the repository.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sqwirrel.config import load, study
from sqwirrel.config.sections import Config
from sqwirrel.config.verbs import simulate_into
from sqwirrel.infer import infer
from sqwirrel.model import library
from sqwirrel.report import figures
from sqwirrel.report.phonons.dispersion import dispersion
from sqwirrel.report.phonons.figure import branches
from sqwirrel.report.result import Result, Whole

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
DPI = 130
sys.path[:0] = [str(DOCS.parent), str(EXAMPLES)]

import crystal_slice  # noqa: E402 (found on the path set above)

from benchmarks import la2nio4  # noqa: E402

RANGES = {"K1xx": [5.0, 16.0], "K1xy": [5.0, 16.0], "K1zz": [-6.0, 3.0], "K2xx": [-1.0, 6.0], "K2yy": [-3.0, 3.0]}
FREE = {name: {"uniform": ends} for name, ends in RANGES.items()}
POWDER = {
    "model": "al_80k",
    "measurement": {
        "shells": {"start": 1.5, "stop": 5.5, "bins": 20},
        "energy": {"start": 6.0, "stop": 42.0, "bins": 36},
        "temperature": 80.0,
    },
    "instrument": {"samples": 16, "counting": {"kind": "poisson"}},
    "simulate": {"parameters": {"fwhm": 2.0, "fwhm_q": 0.1, "scale": 4.0, "background": 1.0}},
}
"""A powder map of few counts, simulated with the published springs."""


def main() -> None:
    """Simulates, infers, draws."""
    draw(rb2mnf4(), DOCS / "images" / "rb2mnf4.png")
    draw(crystal_slice.run(), DOCS / "images" / "slice.png")
    phonons().savefig(DOCS / "images" / "phonons.png", dpi=DPI)
    if la2nio4.FILES[0].exists():
        draw(measured_slice(), DOCS / "generated" / "la2nio4_slice.png")


def rb2mnf4() -> Result:
    """The example of the README."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        simulate_into(home, load(EXAMPLES / "rb2mnf4_truth.toml"))
        changes = [f"measurement.file={home / 'spectrum.h5'}", f"truth.file={home / 'truth.json'}"]
        work = study(load(EXAMPLES / "rb2mnf4.toml", changes))
    posterior = infer(work.experiment, work.prior, work.spectrum, work.config.infer.build())
    return Result(posterior, work.spectrum, work.experiment, work.prior)


def phonons() -> Figure:
    """Branches of aluminium from a simulated powder map, springs beyond second neighbours held."""
    known = library.find("al_80k").defaults
    prior = {name: value for name, value in known.items() if name not in FREE} | FREE
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        simulate_into(home, Config.model_validate(POWDER))
        fitted = {"file": str(home / "spectrum.h5")}
        config = Config.model_validate({**POWDER, "prior": prior, "measurement": fitted, "simulate": {}})
        work = study(config)
    posterior = infer(work.simulator, work.prior, work.data, work.config.infer.build())
    found = dispersion(Whole.of(Result(posterior, work.spectrum, work.experiment, work.prior)))
    assert found is not None
    return branches(found)


def measured_slice() -> Result:
    """The slice of the benchmark, as it is inferred there."""
    choice = la2nio4.Choice()
    spectrum = la2nio4.load(choice)
    experiment, prior = la2nio4.simulator(spectrum, choice, samples=32)
    return Result(infer(experiment, prior, spectrum), spectrum, experiment, prior)


def draw(result: Result, picture: Path) -> None:
    """Data, model and residuals side by side."""
    maps = [make(result) for make in (figures.data_map, figures.model_map, figures.residual_map)]
    for figure in maps:
        figure.set_dpi(DPI)
        figure.canvas.draw()
    pixels = np.hstack([np.asarray(figure.canvas.buffer_rgba())[..., :3] for figure in maps])
    picture.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(picture, optimize=True)


if __name__ == "__main__":
    main()
