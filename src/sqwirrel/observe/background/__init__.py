"""Background: what is under the signal, linear in its nuisance parameters."""

from sqwirrel.observe.background.shapes import (
    ELASTIC,
    HIGHEST,
    Background,
    ConstantBackground,
    ElasticBackground,
    PlanarBackground,
    SlopedBackground,
    SmoothBackground,
    along,
    legendre,
)
from sqwirrel.observe.background.template import CAN, MEASURED, TemplateBackground

__all__ = [
    "CAN",
    "ELASTIC",
    "HIGHEST",
    "MEASURED",
    "Background",
    "ConstantBackground",
    "ElasticBackground",
    "PlanarBackground",
    "SlopedBackground",
    "SmoothBackground",
    "TemplateBackground",
    "along",
    "legendre",
]
