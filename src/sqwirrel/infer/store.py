"""A posterior on disk: `posterior.h5` with everything in it, exact, whole or not at all.

Root attributes: format = "sqwirrel posterior", version = 3, and the scalars of the posterior. Datasets: `draws`,
`log_weight`, `limit`, `anchor`, `widening`; `names`, `units`, `priors` as strings; groups `basins` and `checks`;
`record` and `finer` as JSON.
"""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer.posterior import Basin, Check, Posterior
from sqwirrel.record import Record
from sqwirrel.whole import put

FORMAT = "sqwirrel posterior"
VERSION = 3
SCALARS = ("log_evidence", "log_evidence_error", "deviance_per_bin", "seconds")
STRINGS = ("names", "units", "priors")
TENSORS = ("draws", "log_weight", "limit", "anchor", "widening")


def save(path: Path, posterior: Posterior) -> None:
    """Write `posterior` to `path`; an interruption leaves what was there before."""

    def write(part: Path) -> None:
        with h5py.File(part, "w") as file:
            _write(file, posterior)

    put(path, write)


def load(path: Path) -> Posterior:
    """The posterior that `save` wrote."""
    if not path.is_file():
        raise InputError(f"there is no file '{path}'; run sqwirrel infer first")
    try:
        with h5py.File(path) as file:
            return _read(file, path)
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path.name} is not a posterior, or damaged ({error}); run sqwirrel infer again") from error


def _write(file: h5py.File, posterior: Posterior) -> None:
    file.attrs["format"], file.attrs["version"] = FORMAT, VERSION
    for name in SCALARS:
        file.attrs[name] = getattr(posterior, name)
    for name in TENSORS:
        file[name] = getattr(posterior, name).numpy()
    for name in STRINGS:
        file[name] = _strings(getattr(posterior, name))
    file["record"], file["finer"] = posterior.record.to_json(), json.dumps(dict(posterior.finer))
    _basins_into(file.create_group("basins"), posterior.basins)
    _checks_into(file.create_group("checks"), posterior.checks)


def _basins_into(group: h5py.Group, basins: tuple[Basin, ...]) -> None:
    group["theta"] = torch.stack([basin.theta for basin in basins]).numpy()
    group["log_posterior"] = np.array([basin.log_posterior for basin in basins], dtype=np.float64)
    group["starts"] = np.array([basin.starts for basin in basins], dtype=np.int64)
    group["probability"] = np.array([basin.probability for basin in basins], dtype=np.float64)


def _checks_into(group: h5py.Group, checks: tuple[Check, ...]) -> None:
    group["name"] = _strings([check.name for check in checks])
    group["meaning"] = _strings([check.meaning for check in checks])
    group["passed"] = np.array([check.passed for check in checks], dtype=bool)
    group["value"] = np.array([check.value for check in checks], dtype=np.float64)


def _read(file: h5py.File, path: Path) -> Posterior:
    if file.attrs.get("format") != FORMAT or int(file.attrs["version"]) != VERSION:
        raise InputError(
            f"{path.name} is not a posterior of version {VERSION} that sqwirrel wrote; run sqwirrel infer again"
        )
    fields: dict[str, Any] = {name: _words(file[name]) for name in STRINGS}
    fields |= {name: torch.from_numpy(file[name][()]) for name in TENSORS}
    fields |= {name: float(file.attrs[name]) for name in SCALARS if name in file.attrs or name != SCALARS[1]}
    fields |= {"basins": _basins(file["basins"]), "checks": _checks(file["checks"])}
    finer = json.loads(file["finer"].asstr()[()]) if "finer" in file else {}
    return Posterior(**fields, finer=finer, record=Record.from_json(file["record"].asstr()[()]))


def _basins(group: h5py.Group) -> tuple[Basin, ...]:
    theta = torch.from_numpy(group["theta"][()])
    columns = (group[name][()].tolist() for name in ("log_posterior", "starts", "probability"))
    return tuple(Basin(place, *row) for place, row in zip(theta, zip(*columns, strict=True), strict=True))


def _checks(group: h5py.Group) -> tuple[Check, ...]:
    passed, value = group["passed"][()].tolist(), group["value"][()].tolist()
    return tuple(map(Check, _words(group["name"]), passed, value, _words(group["meaning"])))


def _strings(values: list[str] | tuple[str, ...]) -> np.ndarray:
    return np.array(values, dtype=h5py.string_dtype())


def _words(data: h5py.Dataset) -> tuple[str, ...]:
    return tuple(data.asstr()[()].tolist())
