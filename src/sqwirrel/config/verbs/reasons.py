"""The verb that explains: which bins an answer rests on."""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch

from sqwirrel.config.several import by_label, parts
from sqwirrel.config.verbs.folders import CONFIG, POSTERIOR, reopened
from sqwirrel.errors import InputError
from sqwirrel.explain import Influence, influence
from sqwirrel.infer.posterior import weighted_quantile
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.report import figures
from sqwirrel.spectra import QPoints, Spectrum, write


@dataclass(frozen=True)
class Reason:
    """Where a spectrum tells of a parameter: its share of all that is known, the fewest bins that make half of that,
    and the energies (meV) that the middle 80 % of it lie between.
    """

    name: str
    label: str
    share: float
    half: int
    energies: tuple[float, float]


def explain_into(folder: Path, result: Path) -> list[Reason]:
    """What each bin has told about the parameters of the model: influence-NAME.h5 and .png of an answer in `result`.

    Of several spectra the files are influence-LABEL-NAME.
    """
    if (result / "verdict.json").is_file():
        inner = sorted(path.parent.name for path in result.glob(f"*/{POSTERIOR}"))
        raise InputError(f"'{result}' is a verdict; explain the answer of one of its rivals, {', '.join(inner)}")
    if not (result / CONFIG).is_file():
        raise InputError(f"'{result}' holds no {CONFIG}; give a folder that sqwirrel infer has left")
    work, posterior = reopened(result)
    if posterior.abstains:
        logging.getLogger("sqwirrel").warning("'%s' is no answer: %s", result, posterior.abstains)
    found = influence(Hypothesis(work.simulator, work.prior), posterior, work.data)
    folder.mkdir(parents=True, exist_ok=True)
    spectra = {label: each for label, each in by_label(work.data).items() if isinstance(each, Spectrum)}
    if not spectra:
        raise InputError(
            "there is no spectrum among the measurements of this answer, only peaks or numbers: nothing has bins"
        )
    models = {name for each in parts(work.simulator) for name in each.names}
    names = [name for name in found.names if name in models]
    return [_told(folder, found, name, label, spectrum) for label, spectrum in spectra.items() for name in names]


def _told(folder: Path, found: Influence, name: str, label: str, spectrum: Spectrum) -> Reason:
    """Writes and draws what one spectrum has told about one parameter."""
    stem, pull = "-".join(filter(None, ("influence", label, name))), found.of(name, label)
    share, measurement = found.share(name, label), spectrum.measurement
    write(folder / f"{stem}.h5", Spectrum.from_arrays(pull, 0 * pull, measurement, valid=spectrum.valid))
    if not isinstance(measurement.points, QPoints):
        figures.save(figures.share_map(spectrum, share, f"What is known of {name}"), folder / f"{stem}.png")
    every, total = share.flatten().sort(descending=True).values, float(share.sum())
    energy = measurement.energy_centres.expand(measurement.shape).reshape(-1, 1)
    weight = share.flatten() / max(total, 1e-300)
    low, high = (float(weighted_quantile(energy, weight, level)) for level in (0.1, 0.9))
    half = int(torch.searchsorted(every.cumsum(0), total / 2)) + 1
    return Reason(name, label, total, half, (low, high))
