"""Folders that `infer` left, opened again as what they were."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqwirrel.config.build import Study, model, study
from sqwirrel.config.instrument import InstrumentSection
from sqwirrel.config.sections import Config, SpectrumEntry
from sqwirrel.config.several import kept
from sqwirrel.config.toml import load
from sqwirrel.infer import Posterior, store
from sqwirrel.model.phonon.model import PhononModel

CONFIG, POSTERIOR = "config.toml", "posterior.h5"
BEFORE: Mapping[str, Any] = {"multiphonon": False}
"""Keys of [instrument] that the config of every folder has since there are such, and what the models of phonons in
folders without them were.
"""


def reopened(folder: Path) -> tuple[Study, Posterior]:
    """The study and the answer in a folder; what models have learnt since is left out, and a warning says so."""
    posterior, config = store.load(folder / POSTERIOR), load(folder / CONFIG)
    old = _as_before(config) if isinstance(model(config), PhononModel) else config
    if old is not config:
        logging.getLogger("sqwirrel").warning(
            "'%s' was written before models of phonons had multiphonon and incoherent scattering: it is shown without, "
            "as it was fitted (multiphonon = false); run sqwirrel infer again to have it",
            folder,
        )
    return study(old, kept(folder, old)), posterior


def _as_before(config: Config) -> Config:
    """The config with what is not in it as it was; itself if all is in it."""
    parts = {
        label: entry.model_copy(update={"instrument": _lacking(entry.instrument)})
        for label, entry in config.measurements.items()
        if isinstance(entry, SpectrumEntry) and _lacking(entry.instrument) is not entry.instrument
    }
    instrument = _lacking(config.instrument)
    if instrument is config.instrument and not parts:
        return config
    return config.model_copy(update={"instrument": instrument, "measurements": {**config.measurements, **parts}})


def _lacking(section: InstrumentSection) -> InstrumentSection:
    missing = {name: value for name, value in BEFORE.items() if name not in section.model_fields_set}
    return section.model_copy(update=missing) if missing else section
