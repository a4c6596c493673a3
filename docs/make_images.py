"""The picture of the README: the Rb2MnF4 example simulated, inferred, and drawn as data, model and residual.

    python docs/make_images.py

Nothing measured is in it: examples/rb2mnf4_truth.toml simulates the spectrum and examples/rb2mnf4.toml infers it.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from sqwirrel.config import load, study
from sqwirrel.config.verbs import simulate_into
from sqwirrel.infer import infer
from sqwirrel.report import figures
from sqwirrel.report.result import Result

DOCS = Path(__file__).parent
EXAMPLES = DOCS.parent / "examples"
PICTURE = DOCS / "images" / "rb2mnf4.png"
DPI = 130


def main() -> None:
    """Simulates, infers, draws."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        simulate_into(home, load(EXAMPLES / "rb2mnf4_truth.toml"))
        changes = [f"measurement.file={home / 'spectrum.h5'}", f"truth.file={home / 'truth.json'}"]
        work = study(load(EXAMPLES / "rb2mnf4.toml", changes))
    posterior = infer(work.experiment, work.prior, work.spectrum, work.config.infer.build())
    result = Result(posterior, work.spectrum, work.experiment, work.prior)
    maps = [draw(result) for draw in (figures.data_map, figures.model_map, figures.residual_map)]
    for figure in maps:
        figure.set_dpi(DPI)
        figure.canvas.draw()
    pixels = np.hstack([np.asarray(figure.canvas.buffer_rgba())[..., :3] for figure in maps])
    PICTURE.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
