"""The verb that translates: a map as if it came from the other domain, and what that changed."""

import json
import tomllib
from pathlib import Path

from sqwirrel.config.build import study
from sqwirrel.config.sections import Config
from sqwirrel.config.toml import dumps
from sqwirrel.errors import InputError
from sqwirrel.infer.matching import Matched, match
from sqwirrel.learn.checkpoint import BEGUN, json_in
from sqwirrel.learn.kept.purpose import Purpose, bins_of
from sqwirrel.learn.translate.kept import KNOWN, load_matcher
from sqwirrel.record import Record, sha256
from sqwirrel.report import figures
from sqwirrel.report.figures.rivals import matched_maps
from sqwirrel.spectra import Measurement, write
from sqwirrel.whole import put_text


def match_into(folder: Path, config: Config) -> Matched:
    """Translates the map of a config; leaves matched.h5, matched.json, matched.png, config.toml, record.json."""
    wanted = config.match
    if wanted is None or wanted.estimator is None:
        raise InputError(
            "[match] names no translator: train one with sqwirrel train on a config with a table [match], and give its "
            'folder as estimator = "DIR"'
        )
    home = Path(wanted.estimator)
    if not (home / KNOWN).is_file():
        raise InputError(
            f"[match] estimator = '{home}' holds no {KNOWN}; make one with sqwirrel train on a config with a table "
            "[match] (the path is relative to the folder of the config)"
        )
    if wanted.to == "simulated":
        _check_new(home, config)
    record, work = Record.start(files=[*config.files, home / KNOWN]), study(config)
    spectrum = work.spectrum
    _check_bins(home, spectrum.measurement)
    found = match(load_matcher(home), spectrum, wanted.to, fwhm=wanted.fwhm)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "matched.h5", found.spectrum)
    put_text(folder / "matched.json", json.dumps(found.mapping(), indent=1, allow_nan=False) + "\n")
    put_text(folder / "config.toml", dumps(config, folder))
    put_text(folder / "record.json", record.to_json())
    figures.save(matched_maps(found), folder / "matched.png")
    return found


def _check_new(home: Path, config: Config) -> None:
    """Refuses a map that the translator learnt from, by its bytes when that was trained, wherever they are now."""
    known, record = home / "config.toml", home / "record.json"
    for each in (known, record):
        if not each.is_file():
            raise InputError(f"{each} is missing, so that nobody knows what the translator learnt from; train it again")
    learnt = tomllib.loads(known.read_text()).get("match", {}).get("frames", [])
    files = Record.from_json(record.read_text()).files
    paths = [str((home / name).resolve()) for name in learnt]
    frames = {digest: each for name, digest in files.items() for each in paths if each.endswith(f"/{name}")}
    for file in config.files:
        if frame := frames.get(sha256(file)):
            raise InputError(
                f"the translator learnt from the map that is to be matched, '{frame}', so that it says "
                "nothing of how it translates it; train one without it"
            )


def _check_bins(home: Path, measurement: Measurement) -> None:
    """Refuses maps on other bins than those that the translator was trained for."""
    known = Purpose.from_mapping(json_in(home / BEGUN), f"the translator in {home} is").conditions
    if other := [name for name, word in bins_of(measurement).items() if known.get(name) != word]:
        raise InputError(
            f"the translator in {home} was trained for other {' and '.join(other)} than those of this map; cut and "
            "rebin the map as in the config of the training, or train one for it"
        )
