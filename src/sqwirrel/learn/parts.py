"""Parts: the measurements that an image is made of, each with its own parameters, coverage, errors and noise.

An image of one measurement has its bins as (point, energy). Those of several stand in a row, (bin, 1), one measurement
after the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.model.phonon.model import PhononModel
from sqwirrel.observe import Experiment, Joint
from sqwirrel.observe.counting import Observed
from sqwirrel.seeds import stream
from sqwirrel.simulate.phonon.phonons import Phonons
from sqwirrel.simulate.spinwave import SpinWaves
from sqwirrel.spectra import Measurement, Spectrum

Learnt = Experiment | Joint
"""What simulations can be made of."""
Like = Spectrum | Mapping[str, Spectrum]
"""A measurement, or several by their labels."""
Bins = tuple[Bool[Tensor, "point energy"], Float[Tensor, "point energy"]]
SOMEWHERE, SPAN = 64, 2.0
"""Wavevectors that an order is tried at, and how many reciprocal cells they are spread over."""
TOGETHER = 4
"""Rows that all measurements see, one after the other, before the next: those of one crystal share its modes."""
Column = Callable[[str], Float[Tensor, " row"]]


@dataclass(frozen=True, eq=False)
class Part:
    """One measurement of an image; `names` are those that its parameters have among all, in its own order.

    Counts need no `like`: all bins count. Reduced data take their coverage and their errors from it.
    """

    label: str
    experiment: Experiment
    names: tuple[str, ...]
    like: Spectrum | None = None

    @property
    def is_poisson(self) -> bool:
        """Whether these are counts."""
        return self.experiment.instrument.counting.is_poisson

    @property
    def linear(self) -> tuple[str, ...]:
        """Names of the scale and of the amplitudes of the background."""
        known = dict(zip(self.experiment.names, self.names, strict=True))
        return tuple(known[name] for name in self.experiment.linear)

    @property
    def bins(self) -> Bins:
        """Coverage, and the error of every bin (1 for counts)."""
        shape = self.experiment.measurement.shape
        valid = torch.ones(shape, dtype=torch.bool) if self.like is None else self.like.valid
        error = torch.ones(shape, dtype=torch.float64)
        if self.is_poisson:
            return valid, error
        if self.like is None:
            raise InputError("pairs of reduced data need the errors of a measured spectrum; give like=spectrum")
        error[valid] = self.experiment.instrument.counting.observe(self.like).variance.sqrt()
        return valid, error

    def expected(self, signal: Float[Tensor, "row point energy"], column: Column) -> Float[Tensor, "row point energy"]:
        """The signal with scale and background."""
        scale, *amplitudes = (column(name) for name in self.linear)
        found = scale[:, None, None] * signal.double()
        for amplitude, template in zip(amplitudes, self.experiment.templates, strict=True):
            found = found + amplitude[:, None, None] * template
        return found

    def measured(
        self, expected: Float[Tensor, "row point energy"], generator: torch.Generator
    ) -> Float[Tensor, "row point energy"]:
        """With noise."""
        if self.is_poisson:
            return torch.poisson(expected.clamp(min=0), generator=generator)
        valid, error = self.bins
        wide = expected.reshape(-1)
        observed = Observed(wide, (error**2).expand(expected.shape).reshape(-1), valid)
        return self.experiment.instrument.counting.sample(wide, observed, generator).reshape(expected.shape)

    def see(self, intensity: Float[Tensor, "row point energy"]) -> Float[Tensor, "row channel point energy"]:
        """Channels: intensity in units of its error, errors relative to their median (log), validity. Bins that were
        not measured are 0 in all of them.

        Counts are taken by their root, 2 sqrt(y + 3/8), whose error is 1 (F. J. Anscombe, Biometrika 35, 246 (1948)).
        """
        valid, error = self.bins
        usual = error[valid].median()
        level = 2 * (intensity.clamp(min=0) + 0.375).sqrt() if self.is_poisson else intensity / usual
        size = torch.log(error / usual)
        stack = torch.stack((level, size.expand_as(level), torch.ones_like(level)), dim=1)
        return torch.where(valid, stack, 0.0)


def parts_of(simulator: Learnt, like: Like | None = None) -> tuple[Part, ...]:
    """The measurements that a simulator predicts, in their order."""
    if isinstance(simulator, Experiment):
        return (Part("", simulator, simulator.names, _spectrum(like, "")),)
    return tuple(
        Part(label, experiment, simulator.names_of[label], _spectrum(like, label))
        for label, experiment in experiments_of(simulator).items()
    )


def experiments_of(simulator: Learnt) -> dict[str, Experiment]:
    """The experiments by their labels; that of the only one is empty."""
    if isinstance(simulator, Experiment):
        return {"": simulator}
    found = {label: each for label, each in simulator.experiments.items() if isinstance(each, Experiment)}
    if peaks := [label for label in simulator.experiments if label not in found]:
        raise InputError(f"'{peaks[0]}' are peaks: networks learn from spectra alone; leave the peaks out")
    return found


def _spectrum(like: Like | None, label: str) -> Spectrum | None:
    found = like.get(label) if isinstance(like, Mapping) else like
    if found is None and like is not None:
        raise InputError(f"there is no spectrum called '{label}' to take errors from; give one for every measurement")
    if found is not None:
        found.check_measured()
    return found


def measurements_of(simulator: Learnt) -> tuple[Measurement, ...]:
    """Where the bins of an image are."""
    return tuple(each.measurement for each in experiments_of(simulator).values())


def in_a_row(pieces: list[Shaped[Tensor, "..."]]) -> Tensor:
    """One image: that of the only measurement as it is, or the bins of several one after the other."""
    return pieces[0] if len(pieces) == 1 else torch.cat([each.flatten(-2) for each in pieces], -1)[..., None]


def apart(x: Tensor, measurements: tuple[Measurement, ...]) -> list[Tensor]:
    """The opposite of `in_a_row`."""
    if len(measurements) == 1:
        return [x]
    sizes = [each.shape[0] * each.shape[1] for each in measurements]
    pieces = torch.split(x[..., 0], sizes, -1)
    shapes = [(*x.shape[:-2], *each.shape) for each in measurements]
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def stable_somewhere(simulator: Learnt, theta: Float[Tensor, "row parameter"]) -> Bool[Tensor, " row"]:
    """Whether the order is stable at a few wavevectors without a field: most that are unstable are found there, at a
    small part of the cost of a simulation. All rows that are measured in a field, or by an emulator, pass.
    """
    found = torch.ones(len(theta), dtype=torch.bool)
    for part in {id(part.experiment.model): part for part in parts_of(simulator)}.values():
        experiment, model = part.experiment, part.experiment.model
        if experiment.is_emulated or bool(experiment.measurement.field.any()):
            continue
        own = theta[:, [simulator.names.index(name) for name in part.names[: len(model.names)]]]
        q = torch.rand(SOMEWHERE, 3, generator=stream(0, "somewhere")).double() * SPAN
        solver = Phonons(model, q) if isinstance(model, PhononModel) else SpinWaves(model, q, keep=False)
        found &= solver(own).stable.all(1)
    return found


def signal_of(simulator: Learnt, theta: Float[Tensor, "row parameter"]) -> tuple[Tensor, Bool[Tensor, " row"]]:
    """The magnetic part of unit scale, as an image, and whether the order is stable in all measurements."""
    if not len(theta):
        return in_a_row([torch.zeros(0, *each.shape) for each in measurements_of(simulator)]), torch.ones(0).bool()
    if isinstance(simulator, Experiment):
        found = simulator.signal(theta)
        return found.expected, found.stable
    pieces = [_signal(simulator, rows) for rows in torch.split(theta, TOGETHER)]
    return torch.cat([signal for signal, _ in pieces]), torch.cat([stable for _, stable in pieces])


def _signal(joint: Joint, theta: Float[Tensor, "row parameter"]) -> tuple[Tensor, Bool[Tensor, " row"]]:
    each = [one.signal(joint.rows(label, theta)) for label, one in experiments_of(joint).items()]
    return in_a_row([one.expected for one in each]), torch.stack([one.stable for one in each]).all(0)
