"""A rotation scan of a crystal: files of detector pixels, one for each angle psi, and the grid that they fill.

Files are read one after the other, each of them some detectors at a time: memory holds the grid and a block.
"""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sqwirrel.errors import InputError
from sqwirrel.limits import check_file
from sqwirrel.spectra.grid import QGrid
from sqwirrel.spectra.pixels import Binned, Binning, Goniometer, Run
from sqwirrel.spectra.points import Numbers, as_tensor
from sqwirrel.spectra.readers.beside import Known, known
from sqwirrel.spectra.readers.nexus import nxspe
from sqwirrel.spectra.readers.text import spe

ALIKE = 0.01
"""Degrees by which psi may differ from that of a file before it is said."""


def read_rotation(
    paths: Sequence[Path | str],
    goniometer: Goniometer,
    grid: QGrid,
    energy: Numbers,
    *,
    psi: Sequence[float] | None = None,
    temperature: float | None = None,
    incident_energy: float | None = None,
) -> Binned:
    """The spectrum of a crystal from files of its detectors, on a `grid` and bins of `energy` (edges, meV).

    They are NXSPE, or .spe with the .par or .phx beside, which need `psi` and `incident_energy` (meV).

    The lattice of the `grid` is that of the `goniometer`. Each value is the mean of the pixels (detector and energy
    bin) whose centre lies in the bin, its error sqrt(sum e^2) / N; bins without a pixel are unmeasured. `psi` (degrees)
    stands in place of those in the files, one a file; a file without one is refused, unless its angle is told beside
    it (`beside`). So may be the `temperature` (K), of one file or more: the same of all, unless it is given here. The
    incident energy of the spectrum is the mean of those of the files, which each is binned with.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise InputError("there is no file to bin; give at least one")
    if tables := [path.name for path in files if path.suffix.lower() in (".par", ".phx")]:
        raise InputError(f"{tables[0]} is a table of detectors and no run; name the runs alone, like *.spe")
    if psi is not None and len(psi) != len(files):
        raise InputError(f"there are {len(files)} files and {len(psi)} angles psi; give one angle for each file")
    if not torch.allclose(grid.lattice.reciprocal, goniometer.lattice.reciprocal, rtol=1e-9):
        raise InputError("the grid and the goniometer have different lattices; give both the same one")
    _check_no_twins(files)
    binning, told = Binning(grid, as_tensor(energy)), [_told(path, incident_energy) for path in files]
    if temperature is None:
        temperature = _temperature(told)
    angles, written = [], []
    for number, path in enumerate(files):
        with _opened(path, told[number], incident_energy) as run:
            given = run.psi if psi is None else psi[number]
            angle = told[number].needed_psi() if given is None else given
            if not np.isfinite(angle):
                raise InputError(f"{path.name}: psi is {angle} degrees; it must be finite")
            with np.errstate(all="ignore"):  # damage makes any number of any other
                binning.add(run, goniometer.to_rlu(angle))
            angles.append(float(angle))
            written.append(told[number].psi if run.psi is None else run.psi)
    _say_replaced(files, angles, written)
    return replace(binning.result(temperature), psi=tuple(angles))


def _say_replaced(files: Sequence[Path], angles: Sequence[float], written: Sequence[float | None]) -> None:
    """A note if angles given are not those of the files."""
    away = [
        0.0 if own is None else abs((angle - own + 180) % 360 - 180) for angle, own in zip(angles, written, strict=True)
    ]
    if (most := max(away)) > ALIKE:
        name = files[away.index(most)].name
        logging.getLogger("sqwirrel").warning(
            "psi as given differs from what %d of %d files say, by most in %s: %g degrees in place of %g",
            sum(each > ALIKE for each in away), len(files), name, angles[away.index(most)], written[away.index(most)],
        )  # fmt: skip


def _told(path: Path, incident_energy: float | None) -> Known:
    """What is written beside a file, if that is there."""
    check_file(path)
    return known(path, incident_energy)


def _opened(path: Path, told: Known, incident_energy: float | None) -> AbstractContextManager[Run]:
    """The detectors in a file, of either format."""
    if spe.sniff(path):
        return nullcontext(spe.run(path, told))
    if incident_energy is not None and nxspe.sniff(path):
        raise InputError(
            f"{path.name} holds the incident energy that it was reduced with; leave out incident_energy, and write it "
            "into FILE.spe.toml beside each file that holds none"
        )
    return nxspe.run(path)


def _temperature(told: Sequence[Known]) -> float | None:
    """The temperature that is written beside files, K; refuses two of them."""
    names: dict[float, str] = {}
    for each in told:
        if each.temperature is not None:
            names.setdefault(each.temperature, each.name)
    if len(names) > 1:
        one, two = list(names)[:2]
        raise InputError(
            f"{names[one]}.toml says {one:g} K and {names[two]}.toml {two:g} K; give files of one temperature, or say "
            "which to take: temperature in [measurement] of a config"
        )
    return next(iter(names), None)


def _check_no_twins(files: Sequence[Path]) -> None:
    """Refuses a file that is there twice: its pixels would weigh double."""
    seen: set[Path] = set()
    for path in files:
        if path.resolve() in seen:
            raise InputError(f"{path.name} is given twice; leave out one of them")
        seen.add(path.resolve())
