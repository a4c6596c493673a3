"""Simulated and measured powder maps of aluminium: a translator that never saw the map that it is judged on.

    python -m benchmarks.match_measured --json FILE [--quick] [--folder DIR] [--minutes 2] [--figure PNG]

Three maps (50, 280 and 540 K) of Y. Su, C. Li, arXiv:2404.13507, in units of their own mean above their lowest
hundredth, as they came without a scale. Each is left out once: a translator learns between simulations (force
constants from a wide prior, narrow lines) and one of the other two maps; the second of these judges the training.
Nobody knows the truth; reported is the correlation, over what was measured, of the left-out map with a simulation of
published constants: as they are, with the map translated, and with the simulation translated.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from benchmarks import phonon_latents_al as al
from benchmarks.match import pace
from sqwirrel.learn.train import Effort, train
from sqwirrel.learn.translate.domain import Domain, Unpaired
from sqwirrel.learn.translate.few import Augment
from sqwirrel.learn.translate.translator import Translator
from sqwirrel.model.prior import Prior
from sqwirrel.record import Record
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum

BATCH = 4
THIN = 0.3
"""Least share of the counts that is kept of a measured map."""
COPIES = 200


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Simulated and measured maps, each left out once.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--quick", action="store_true", help="few maps and steps")
    parser.add_argument("--folder", type=Path, help="where simulations are kept")
    parser.add_argument("--figure", type=Path, help="picture of the maps and their translations")
    parser.add_argument("--minutes", type=float, default=2.0, help="training of each, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    record, found, shown = Record.start(seeds={"simulations": 1}), {}, []
    with tempfile.TemporaryDirectory() as scratch:
        simulated = clean(options.folder or Path(scratch), 40 if options.quick else 600)
    for temperature in al.CELLS:
        one, history = trained(simulated, temperature, None if options.quick else options.minutes)
        found[f"{temperature} K"], rows = judged(one, temperature)
        found[f"{temperature} K"] |= history | {"doubts": one.doubts}
        shown.append(rows)
    result = {"benchmark": "match_measured", "quick": options.quick, "simulations": len(simulated), "left_out": found}
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result | {"record": json.loads(record.to_json())}, indent=1) + "\n")
    if options.figure:
        draw(shown, options.figure)


def clean(folder: Path, rows: int) -> Tensor:
    """Simulated maps, in units of their mean over what was measured."""
    return of_mean(al.simulated(folder, rows, 1, al.prior(wide=True))[1])


def published(folder: Path) -> Tensor:
    """That of published constants."""
    return of_mean(al.simulated(folder, 1, 2, Prior.from_mapping({**al.published(), **al.WIDTHS}), al.SAMPLES)[1])


def of_mean(level: Tensor) -> Tensor:
    """In units of the mean over what was measured."""
    valid = al.coverage()
    return level / level[:, valid].mean(1)[:, None, None]


def measured(temperature: int) -> Spectrum:
    """A map, above its lowest hundredth, with the noise that its bins have beside their neighbours."""
    valid, level = al.coverage(), torch.nan_to_num(al.measured()[temperature])[0]
    level = of_mean((level - level[valid].quantile(0.01))[None])[0].double()
    error = torch.full_like(level, al.own_noise(level, valid))
    return Spectrum.from_arrays(level, error, al.experiment(temperature).measurement, valid=valid)


def trained(simulated: Tensor, temperature: int, minutes: float | None) -> tuple[Translator, dict[str, Any]]:
    """Between simulations and the maps at other temperatures."""
    others = [measured(each) for each in al.CELLS if each != temperature]
    domains = Unpaired(Domain.of(simulated), Domain.measured(others, Augment(thin=THIN), copies=COPIES))
    one = Translator.sized_for(domains, kind="instrument")
    steps = 20 if minutes is None else int(60 * minutes / pace(one, domains, BATCH))
    history = train(one, domains, Effort(steps=steps, batch=BATCH, every=max(1, steps // 10), patience=10**6))
    return one, {"steps": steps, "minutes": history.seconds / 60}


def judged(one: Translator, temperature: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Correlations of the left-out map with the simulation, and the maps."""
    frame = Domain.measured([measured(temperature)], copies=1).every(stream(0, ""))
    with tempfile.TemporaryDirectory() as scratch:
        simulated = Domain.of(published(Path(scratch))).every(stream(0, ""))
    back, there = one.translate(frame, "simulated").level, one.translate(simulated, "measured").level
    seen, model = frame.x[:, 0], simulated.x[:, 0]
    told = {
        "before": alike(seen, model),
        "measured_to_simulated": alike(back, model),
        "simulated_to_measured": alike(seen, there),
    }
    return told, {"measured": seen, "simulated": model, "to simulated": back, "to measured": there}


def alike(one: Tensor, other: Tensor) -> float:
    """Correlation over what was measured."""
    valid = al.coverage()
    return float(torch.corrcoef(torch.stack((one[0][valid], other[0][valid])))[0, 1])


def draw(shown: list[dict[str, Tensor]], file: Path) -> None:
    """A row for each left-out map."""
    figure, axes = plt.subplots(len(shown), len(shown[0]), figsize=(11, 2.6 * len(shown)), squeeze=False)
    for line, rows in zip(axes, shown, strict=True):
        for axis, (name, each) in zip(line, rows.items(), strict=True):
            axis.imshow(torch.where(al.coverage(), each[0], torch.nan).T, origin="lower", vmin=0, vmax=3, aspect="auto")
            axis.set(xticks=[], yticks=[], title=name)
    figure.tight_layout()
    figure.savefig(file)


if __name__ == "__main__":
    sys.exit(main())
