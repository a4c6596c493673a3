"""Numbers as physicists write them."""

import math


def with_error(value: float, sd: float) -> str:
    """A value with its standard deviation in the last digits.

    >>> with_error(0.30412, 0.0021)
    '0.3041(21)'
    >>> with_error(421.3, 12.4)
    '421(12)'
    """
    if not (math.isfinite(value) and math.isfinite(sd) and sd > 0):
        return plain(value)
    digits = _digits(sd)
    if abs(value) >= 1e5 or max(abs(value), sd) < 1e-4:
        power = math.floor(math.log10(max(abs(value), sd)))
        return f"{with_error(value / 10**power, sd / 10**power)}e{power}"
    shown = round(sd, digits)
    error = f"{shown:.0f}" if digits <= 0 else f"{shown:.{digits}f}" if shown >= 1 else f"{shown * 10**digits:.0f}"
    return f"{round(value, digits):.{max(digits, 0)}f}({error})"


def interval(lo: float, hi: float) -> str:
    """Both ends to the digits that their distance deserves.

    >>> interval(0.30211, 0.30613)
    '0.3021 to 0.3061'
    """
    if not (math.isfinite(lo) and math.isfinite(hi) and hi > lo):
        return f"{plain(lo)} to {plain(hi)}"
    return f"{to(lo, (hi - lo) / 2)} to {to(hi, (hi - lo) / 2)}"


def to(value: float, sd: float) -> str:
    """A value to two digits of `sd`.

    >>> to(-0.05633, 0.0009)
    '-0.05633'
    """
    digits = _digits(sd)
    if max(abs(value), sd) < 1e-4 or abs(value) >= 1e5:
        return f"{value:.3g}"
    return f"{round(value, digits) + 0.0:.{max(digits, 0)}f}"


def plain(value: float) -> str:
    """Three digits, or words for what is no number."""
    if not math.isfinite(value):
        return "infinite" if math.isinf(value) else "not known"
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def _digits(sd: float) -> int:
    """Decimals that keep two digits of `sd` (or one more where it begins with 1 or 2 after rounding)."""
    return 1 - math.floor(math.log10(sd)) if sd > 0 else 3
