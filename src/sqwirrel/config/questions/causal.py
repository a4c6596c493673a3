"""[causal]: interventions on parameters, and what else is asked about causes."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from sqwirrel.config.places import Vector
from sqwirrel.config.table import Section
from sqwirrel.explain.causal.paths import Reading, readings
from sqwirrel.explain.causal.paths.readings import CENTRE, Model
from sqwirrel.model.phonon.model import PhononModel


class ReadingEntry(Section):
    """A number of the dispersion: `gap`, `boundary` (of one `branch`) or `splitting` (of two `branches`) at `q` (rlu),
    `band_top`, or `velocity` or `stiffness` along `direction` (rlu) from the zone centre `q`.

    Branches are counted from the lowest at each wavevector, from 0; from the highest, from -1.
    """

    kind: Literal["gap", "boundary", "splitting", "band_top", "velocity", "stiffness"]
    q: Vector = CENTRE
    direction: Vector = (1.0, 0.0, 0.0)
    branch: int | None = None
    branches: tuple[int, int] = (0, 1)

    def build(self, model: Model) -> Reading:
        """The reading of a model."""
        match self.kind:
            case "gap":
                return readings.gap(self.q)
            case "band_top":
                return readings.band_top()
            case "splitting":
                return readings.splitting(self.q, self.branches)
            case "boundary":
                return readings.boundary(self.q, -1 if self.branch is None else self.branch)
            case kind:
                read = readings.velocity if kind == "velocity" else readings.stiffness
                return read(model, self.direction, self.branch or 0, self.q)


class Causal(Section):
    """A causal map: interventions on every free parameter, `pairs` of simulations each, a power of two (64 for a look,
    256 to publish).

    They go over the share `width` of the prior, about its middle, or about the best fit of the folder that `sqwirrel
    infer` left (`about`: that for a folder and the prior for a config); there over `times` standard deviations of the
    posterior to both sides instead, if that is given, always inside the prior. Regions of less than the share `least`
    of all bins are absorbed. `zoom` also gives the map with at most so many regions, joined along their tree.

    `paths` asks what each parameter of the model acts through, which takes several times as long. `readings` are
    numbers of the dispersion, and what moves them; by default the gap and the band top of spins, the band top and the
    slowest and the fastest sound along (1, 0, 0) of phonons. `do`, for a folder, sets parameters to values (in their
    units), and asks for the spectrum that would have been measured then.
    """

    about: Literal["prior", "posterior"] | None = None
    pairs: PositiveInt = 64
    width: Annotated[float, Field(gt=0, le=1)] = 0.3
    times: PositiveFloat | None = None
    least: Annotated[float, Field(gt=0, lt=1)] = 0.005
    zoom: PositiveInt | None = None
    seed: int = 5
    paths: bool = False
    readings: tuple[ReadingEntry, ...] | None = None
    do: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default={})

    def asked(self, model: Model) -> list[Reading]:
        """The readings of a model."""
        return [each.build(model) for each in (_usual(model) if self.readings is None else self.readings)]


def _usual(model: Model) -> tuple[ReadingEntry, ...]:
    top = ReadingEntry(kind="band_top")
    if isinstance(model, PhononModel):
        return top, *(ReadingEntry(kind="velocity", branch=branch) for branch in (0, 2))
    return ReadingEntry(kind="gap"), top
