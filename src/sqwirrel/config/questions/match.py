"""[match]: a translator between simulated and measured maps."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from sqwirrel.config.quantity import Energy
from sqwirrel.config.table import Section
from sqwirrel.errors import InputError


class Match(Section):
    """A translator between maps as they are simulated and as they are measured, and what to do with the map of this
    config.

    `sqwirrel train` makes the translator. Simulated maps are expected ones without noise, or, with `clean = "signals"`,
    of unit scale and without background, too. Measured ones are simulated with noise in the bins and with the errors of
    this measurement; or those in the files `frames`, if there are any, with as little as the share `thin` of their
    counts, and mirrored along the axes `mirrors` (numbers from 0). `sqwirrel match` takes the map `to` the other kind
    with the translator in the folder `estimator`; `fwhm`, that of the energy resolution, says how far modes may move.
    """

    estimator: str | None = None
    to: Literal["simulated", "measured"] = "simulated"
    fwhm: Annotated[Energy, Field(gt=0)] | None = None
    clean: Literal["expected", "signals"] = "expected"
    frames: tuple[str, ...] = ()
    thin: Annotated[float, Field(gt=0, le=1)] = 1.0
    mirrors: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _of_frames(self) -> "Match":
        if not self.frames and (self.thin != 1 or self.mirrors):
            raise InputError("thin and mirrors are of copies of measured frames; give frames, or leave them out")
        return self
