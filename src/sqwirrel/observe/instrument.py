"""Instrument: resolution, background and counting, each with its nuisance parameters."""

from dataclasses import dataclass, field

from sqwirrel.errors import InputError
from sqwirrel.observe.background import Background, ConstantBackground
from sqwirrel.observe.counting import Counting, Gaussian
from sqwirrel.observe.covariance.resolution import EllipsoidResolution
from sqwirrel.observe.momentum import ConstantQWidth, QWidth
from sqwirrel.observe.resolution import GaussianResolution, Resolution
from sqwirrel.spectra import Spectrum

SCALE = "scale"
MULTIPLE = "multiple"


@dataclass(frozen=True)
class Instrument:
    """What stands between the modes and the bins.

    Nuisance parameters: those of `resolution` (meV), those of `q_width` (powder only), `multiple` (if asked for), those
    of `q_response`, `scale` (units of the spectrum per S_perp of one magnetic ion and meV, or per mb / sr of an atom
    and meV), those of `background` (units of the spectrum).

    `multiple_scattering` adds to every |Q| the same fraction `multiple` of the signal averaged over the measured
    sphere: neutrons that scatter from a mode and elastically, in either order, and so lose the memory of |Q| (to first
    order in the thickness of the sample, elastic scattering isotropic; V. F. Sears, Adv. Phys. 24, 1 (1975),
    doi:10.1080/00018737500101361). `flux_factor` says that the data still hold k_f / k_i of the cross-section.
    `multiphonon` says that they still hold what atoms scatter each for itself, with one phonon or several, which only
    models of phonons have (`simulate.phonon.incoherent`).
    Of a powder map, the signal at each |Q| is multiplied by exp(sum_k response_k P_k(x)), Legendre polynomials to the
    order `q_response` with x from -1 to 1 over the measured |Q|: absorption in a flat sample, detectors.
    """

    resolution: Resolution | EllipsoidResolution = field(default_factory=GaussianResolution)
    background: Background = field(default_factory=ConstantBackground)
    counting: Counting = field(default_factory=Gaussian)
    q_width: QWidth = field(default_factory=ConstantQWidth)
    multiple_scattering: bool = False
    flux_factor: bool = False
    multiphonon: bool = True
    q_response: int = 0

    def names(self, *, powder: bool) -> tuple[str, ...]:
        """Nuisance parameters in order; those of `q_width` only where there are shells of |Q|."""
        width = self.q_width.names if powder else ()
        multiple = (MULTIPLE,) if self.multiple_scattering else ()
        return (*self.resolution.names, *width, *multiple, *self.responses, SCALE, *self.background.names)

    @property
    def responses(self) -> tuple[str, ...]:
        """Terms of the response along |Q|."""
        return tuple(f"response_{k}" for k in range(1, self.q_response + 1))

    @property
    def stretched(self) -> bool:
        """Whether widths in q of a crystal are a parameter, which acts on the points and not after them."""
        return isinstance(self.resolution, EllipsoidResolution) and self.resolution.q_scale

    @property
    def units(self) -> dict[str, str]:
        """Unit of each nuisance parameter; empty for numbers and for intensities in the spectrum's own unit."""
        numbers = dict.fromkeys((SCALE, MULTIPLE, *self.responses), "")
        return {**numbers, **self.q_width.units, **self.resolution.units, **self.background.units}


def check_noise(counting: Counting, like: Spectrum | None) -> None:
    """Refuses noise of reduced data without a spectrum that has their errors."""
    if like is None and not counting.is_poisson:
        raise InputError(
            "noise of reduced data needs the errors of a measured spectrum; give [measurement] a file, or choose "
            "[instrument] counting = { kind = 'poisson' } or [simulate] noise = false"
        )
