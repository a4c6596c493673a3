"""What a rival model would have to look like a frame that another one made: its best fit to the frame without noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks import pcsmo_rivals
from benchmarks.pcsmo_rivals import told
from sqwirrel.infer.refine import refine
from sqwirrel.infer.target import Target
from sqwirrel.learn.pairs import Pairs, Simulations
from sqwirrel.learn.parts import apart, measurements_of
from sqwirrel.model.prior import Prior
from sqwirrel.seeds import stream
from sqwirrel.spectra import Spectrum
from sqwirrel.whole import put


@dataclass(frozen=True, eq=False)
class Rival:
    """A model with its simulations; usual signals of each incident energy (`pcsmo_rivals.levels`), and the laws of
    amplitudes that the frames have.
    """

    name: str
    made: Simulations
    level: Mapping[str, float]
    law: pcsmo_rivals.Linear

    def fits(self, expected: Float[Tensor, "frame bin"], steps: int, folder: Path) -> Float[Tensor, "frame bin"]:
        """The best fit to every frame; each is kept in the folder and not made again."""
        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for k, frame in enumerate(expected):
            if not (file := folder / f"{k}-in-{steps}.safetensors").exists():
                both = {"expected": frame, "fitted": self.fit(frame, steps)}
                put(file, lambda part, both=both: save_file(both, part))  # type: ignore[misc]
            kept = load_file(file)
            if not torch.allclose(kept["expected"], frame):
                raise SystemExit(f"{folder} holds fits to other frames; remove it")
            found.append(kept["fitted"])
            told(f"{folder.name} {k + 1}/{len(expected)}")
        return torch.stack(found)

    def fit(self, frame: Float[Tensor, " bin"], steps: int) -> Float[Tensor, " bin"]:
        """Constants, twins, widths, scales and backgrounds fitted from the nearest of all simulations."""
        target = Target.of(self.made.simulator, self.prior, self.data(frame))
        start = self._start(frame)
        (best,) = refine(target, start[None], steps=steps)
        theta = self.prior.constrain(best.z[None])
        before, after = target.deviance(torch.cat((start[None], theta))).tolist()
        told(f"deviance {before:.0f} -> {after:.0f}")
        full = target.full(theta)
        with torch.no_grad():
            seen = [term.experiment.predict(target.own(term, full)).expected.flatten() for term in target.terms]
        return torch.cat(seen)

    @property
    def prior(self) -> Prior:
        """What networks were told of counts."""
        return pcsmo_rivals.prior(self.name, lambda kind, label: pcsmo_rivals.counted(kind, label, self.level))

    def data(self, frame: Float[Tensor, " bin"]) -> dict[str, Spectrum]:
        """A frame as counts."""
        where = measurements_of(self.made.simulator)
        pieces = zip(pcsmo_rivals.LABELS, where, apart(frame[None, :, None], where), strict=True)
        return {label: Spectrum.from_arrays(x[0], x[0].sqrt(), each, is_counts=True) for label, each, x in pieces}

    def _start(self, frame: Float[Tensor, " bin"]) -> Float[Tensor, " parameter"]:
        """Constants, twins and widths of the simulation under which the frame is likeliest; amplitudes by law."""
        known = pcsmo_rivals.pairs(self.name, self.made, self.law, None)
        rows = torch.arange(len(known)).split(250)
        far = [near.sum(1) - near.log() @ frame for near in (expected_of(known, each) for each in rows)]
        row = dict(zip(self.made.prior.names, self.made.theta[int(torch.cat(far).argmin())].tolist(), strict=True))
        split = {name: name.rpartition("_") for name in self.prior.names}
        begins = [
            self.law(kind, label) if label in self.level else row[name] for name, (kind, _, label) in split.items()
        ]
        return torch.tensor(begins, dtype=torch.float64)


def expected_of(pairs: Pairs, rows: Tensor) -> Float[Tensor, "row bin"]:
    """Frames without noise."""
    return pairs.redrawn(rows, stream(0, "held"))[1].flatten(1)
