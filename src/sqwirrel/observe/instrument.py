"""Instrument: resolution, background and counting, each with its nuisance parameters."""

from dataclasses import dataclass

from sqwirrel.observe.background import Background, ConstantBackground
from sqwirrel.observe.counting import Counting, Gaussian
from sqwirrel.observe.resolution import GaussianResolution, Resolution

Q_WIDTH = "fwhm_q"
SCALE = "scale"
MULTIPLE = "multiple"


@dataclass(frozen=True)
class Instrument:
    """What stands between the modes and the bins.

    Nuisance parameters: those of `resolution` (meV), `fwhm_q` (1/angstrom, powder only), `multiple` (if asked for), `scale`
    (units of the spectrum per S_perp of one magnetic ion and meV), those of `background` (units of the spectrum).

    `multiple_scattering` adds to every |Q| the same fraction `multiple` of the signal averaged over the measured sphere:
    neutrons that scatter from a mode and elastically, in either order, and so lose the memory of |Q| (to first order in the
    thickness of the sample, elastic scattering isotropic; V. F. Sears, Adv. Phys. 24, 1 (1975), doi:10.1080/00018737500101361).
    """

    resolution: Resolution = GaussianResolution()
    background: Background = ConstantBackground()
    counting: Counting = Gaussian()
    multiple_scattering: bool = False

    def names(self, *, powder: bool) -> tuple[str, ...]:
        """Nuisance parameters in order; `fwhm_q` only where there are shells of |Q|."""
        width = (Q_WIDTH,) if powder else ()
        multiple = (MULTIPLE,) if self.multiple_scattering else ()
        return (*self.resolution.names, *width, *multiple, SCALE, *self.background.names)

    @property
    def units(self) -> dict[str, str]:
        """Unit of each nuisance parameter; empty for numbers and for intensities in the spectrum's own unit."""
        return {Q_WIDTH: "1/angstrom", SCALE: "", MULTIPLE: "", **self.resolution.units, **self.background.units}
