"""Background that is another spectrum on the same bins: measured, or calculated for the can of the sample."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.background.shapes import Background, ConstantBackground
from sqwirrel.spectra import Measurement, Spectrum

MEASURED, CAN = "background_measured", "background_can"


@dataclass(frozen=True, eq=False)
class TemplateBackground:
    """Another spectrum on the same bins, measured (above the ordering temperature, at high |Q|, without the sample) or
    calculated (`can`), times the parameter `amplitude`, and what `beside` adds.

    Its noise is not known to the likelihood: it should be measured at least as well as the spectrum, or smoothed.
    """

    spectrum: Spectrum
    beside: Background = field(default_factory=ConstantBackground)
    amplitude: str = MEASURED

    @property
    def names(self) -> tuple[str, ...]:
        """Nuisance parameters."""
        return (*self.beside.names, self.amplitude)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each parameter; the amplitude has that of the spectrum over that of the template."""
        return {**self.beside.units, self.amplitude: ""}

    def templates(self, measurement: Measurement) -> Float[Tensor, "template point energy"]:
        """Those of `beside`, then the intensity (0 where it was not measured)."""
        if not self.spectrum.measurement.same_bins(measurement):
            mine, its = (_in_words(each) for each in (self.spectrum.measurement, measurement))
            raise InputError(f"the measured background has {mine}, the spectrum {its}; reduce both onto the same bins")
        return torch.cat((self.beside.templates(measurement), self.spectrum.intensity[None]))

    def rebinned(self, q: int, energy: int) -> "TemplateBackground":
        """The mean over the merged bins."""
        spectrum = self.spectrum.rebin(q=q, energy=energy, mean=True)
        return TemplateBackground(spectrum, self.beside.rebinned(q, energy), self.amplitude)

    def covered(self, spectrum: Spectrum) -> Spectrum:
        """`spectrum` without the bins where the background was not measured."""
        return spectrum.without(~self.spectrum.valid)


def _in_words(measurement: Measurement) -> str:
    (n, m), (low, high), points = measurement.shape, measurement.range, measurement.points
    return f"{n} x {m} bins, {points.describe(0, n)}, {low:g} to {high:g} meV"
