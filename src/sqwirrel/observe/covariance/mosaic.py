"""The mosaic of a sample, from rocking curves of one of its Bragg peaks."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sqwirrel.errors import InputError
from sqwirrel.observe.covariance.cooper_nathans import covariance, points_of, triangle_of
from sqwirrel.observe.covariance.ellipsoid import bragg_fwhm
from sqwirrel.observe.covariance.spectrometer import Spectrometer
from sqwirrel.spectra import Measurement

TURN = 180 / math.pi * 60
"""Minutes of arc in a radian."""


def mosaic_of(spectrometer: Spectrometer, peak: Measurement, rocking: tuple[float, float]) -> Float[Tensor, "2"]:
    """Mosaic (horizontal, vertical; minutes FWHM), for `Spectrometer.with_mosaic`.

    `rocking` are the FWHM (degrees) of curves that turned the crystal in the scattering plane and out of it, `peak` is
    a measurement whose first point is elastic, at that Bragg peak. Widths of mosaic and resolution add in squares; the
    latter is that of the spectrometer with a perfect sample. Beams that focus vertically widen the second curve, too:
    its excess then stands for theirs.
    """
    perfect = spectrometer.with_mosaic((0.0, 0.0))
    triangle, lattice = triangle_of(perfect, peak), points_of(peak).lattice
    turned = lattice.to_rlu(triangle.frame[0, 1:] * triangle.modulus[0])  # across and up, by one radian
    sharp = TURN * bragg_fwhm(covariance(perfect, peak)[:1].expand(2, 4, 4), torch.nn.functional.pad(turned, (0, 1)))
    seen = 60 * torch.tensor(rocking, dtype=torch.float64)
    if bool((seen < sharp).any()):
        raise InputError(
            f"rocking curves {rocking[0]:.3g} and {rocking[1]:.3g} degrees wide are narrower than the resolution, "
            f"{float(sharp[0]) / 60:.3g} and {float(sharp[1]) / 60:.3g} degrees: check the collimations"
        )
    return (seen**2 - sharp**2).sqrt()
