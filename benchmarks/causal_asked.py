"""Measured spectra that causal maps are made of: who explains them, how hard posteriors are looked for, their parts.

MnF2 as in `examples/mnf2.toml`; La2NiO4 as in `benchmarks.la2nio4`; the frame of PCSMO as in `benchmarks.pcsmo_rivals`,
folded, six incident energies, for two of its models. Searches in the frame begin at the constants that
`benchmarks.pcsmo_evidence` saved, beside the best of a screen.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from benchmarks import la2nio4, pcsmo_rivals
from sqwirrel import Spectrum
from sqwirrel.config import load, study
from sqwirrel.explain.causal.measured.invariance import Part
from sqwirrel.infer import Data, Settings
from sqwirrel.infer.verdict import Hypothesis
from sqwirrel.model import library
from sqwirrel.model.crystal import Crystal

MNF2 = Path(__file__).parents[1] / "examples" / "mnf2.toml"
EVIDENCE = Path(__file__).parent / "results" / "pcsmo_evidence.json"
WHOLE, AGAIN = (Settings(screen=screen, starts=n, draws=600, rounds=3) for screen, n in ((256, 4), (64, 2)))
FRAME, QUICK = (Settings(screen=screen, starts=1, draws=n, rounds=2) for screen, n in ((8, 300), (32, 60)))
REGIONS, FEW = 12, 1
"""Regions that are left out in turn, at most; of a frame, which takes minutes each time."""
FRAMES = ("pcsmo_goodenough", "pcsmo_dimer")
SETS = ("mnf2", "la2nio4", *FRAMES)


@dataclass(frozen=True, eq=False)
class Asked:
    """Spectra by label, who explains them with which free `constants`; the crystal, for further terms of the
    Hamiltonian; settings of `infer` for the whole and again without a region, how many regions are left out,
    and the parts that constants are compared between; pairs of interventions, and over how many standard deviations
    of the posterior these go (None: over .3 of the prior).
    """

    rival: Hypothesis
    spectra: Mapping[str, Spectrum]
    constants: tuple[str, ...]
    crystal: Crystal | None
    settings: Settings
    again: Settings
    refits: int
    parts: Mapping[str, Part]
    pairs: int = 64
    times: float | None = None

    @property
    def data(self) -> Data:
        """As `infer` takes it."""
        return _data(self.spectra)

    def without(self, bins: Mapping[str, Bool[Tensor, "point energy"]]) -> Data:
        """The data without some bins; a spectrum that would have none keeps the first, which says nothing alone."""
        return _data({label: _less(each, bins[label]) for label, each in self.spectra.items()})


def asked(name: str, quick: bool) -> Asked:
    """One of the `SETS`; a quick one has few points, draws, and one refit."""
    made = _frame(name) if name in FRAMES else _single(name, quick)
    return replace(made, settings=QUICK, again=QUICK, refits=1, pairs=16) if quick else made


def _single(name: str, quick: bool) -> Asked:
    if name == "mnf2":
        work = study(load(MNF2, ["instrument.samples=16"] if quick else []))
        simulator, prior, spectrum = work.experiment, work.prior, work.spectrum
    else:
        spectrum = la2nio4.load(la2nio4.Choice())
        simulator, prior = la2nio4.simulator(spectrum, la2nio4.Choice(), 16 if quick else 64)
    first = (torch.arange(len(spectrum.valid)) < len(spectrum.valid) // 2)[:, None].expand(spectrum.valid.shape)
    parts = {"first half of momenta": {"": first}, "second half": {"": ~first}}
    constants = tuple(each for each in prior.names if each in simulator.model.names)
    rival, crystal = Hypothesis(simulator, prior), library.crystal(name)
    return Asked(rival, {"": spectrum}, constants, crystal, WHOLE, AGAIN, REGIONS, parts)


def _frame(name: str) -> Asked:
    short, spectra = name.removeprefix("pcsmo_"), pcsmo_rivals.measured()
    rival, model = pcsmo_rivals.hypothesis(short, spectra), pcsmo_rivals.model(short)
    saved = json.loads(EVIDENCE.read_text(encoding="utf-8"))["evidence"][short]["parameters"]
    settings = replace(FRAME, guesses=({key: median for key, (median, *_) in saved.items()},))
    constants = tuple(each for each in rival.prior.names if each in model.names)
    parts: dict[str, Part] = {label: {label: None} for label in spectra}
    return Asked(rival, spectra, constants, library.crystal(name), settings, FRAME, FEW, parts, 32, 100)


def _less(spectrum: Spectrum, left: Bool[Tensor, "point energy"]) -> Spectrum:
    if bool((spectrum.valid & ~left).any()):
        return spectrum.without(left)
    first = torch.zeros_like(left).flatten()
    first[spectrum.valid.flatten().nonzero()[0]] = True
    return spectrum.without(left & ~first.reshape(left.shape))


def _data(spectra: Mapping[str, Spectrum]) -> Data:
    return spectra[""] if list(spectra) == [""] else dict(spectra)
