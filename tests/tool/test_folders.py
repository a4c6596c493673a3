"""Folders that an older version has left, opened again."""

import logging
import re

import pytest

from sqwirrel.config import load
from sqwirrel.config.build import study
from sqwirrel.config.several import keep
from sqwirrel.config.toml import dumps
from sqwirrel.config.verbs.folders import reopened
from sqwirrel.infer import store
from sqwirrel.spectra import write
from tests.unit.report.springs import aluminium, phonons_of

KEY = r"multiphonon = true\n"
ONE = '[measurement]\nfile = "map.h5"\n'
TWO = '[measurements.one]\nfile = "map.h5"\n[measurements.two]\nfile = "map.h5"\ninstrument = { samples = 3 }\n'


def left(folder, where, model="al_80k", lacking=""):
    """What infer leaves of a powder map, the posterior being one made before; without what is `lacking`."""
    result = phonons_of(aluminium(), {"K1xx": aluminium().defaults["K1xx"]})
    write(folder.parent / "map.h5", result.spectrum)
    held = aluminium().defaults if model == "al_80k" else {}
    prior = "".join(f"{name} = {value!r}\n" for name, value in held.items() if name != "K1xx")
    config = folder.parent / "config.toml"
    config.write_text(f'model = "{model}"\n{where}[prior]\n{prior}[instrument]\nsamples = 2\n')
    work = study(load(config))
    folder.mkdir()
    keep(folder, work.data)
    text = dumps(work.config, folder)
    assert len(re.findall(KEY, text)) >= 1
    (folder / "config.toml").write_text(re.sub(lacking, "", text) if lacking else text)
    store.save(folder / "posterior.h5", result.posterior)
    return folder


@pytest.mark.parametrize("where", [ONE, TWO])
def test_a_folder_from_before_multiphonon_scattering_is_opened_without(tmp_path, where, caplog):
    old = left(tmp_path / "old", where, lacking=KEY)
    text = (old / "config.toml").read_text()
    with caplog.at_level(logging.WARNING):
        work, _ = reopened(old)
    (said,) = caplog.messages
    assert said.startswith(f"'{old}' was written before models of phonons had multiphonon")
    parts = work.simulator.experiments.values() if where is TWO else [work.simulator]
    assert [part.instrument.multiphonon for part in parts] == [False] * len(parts)
    assert (old / "config.toml").read_text() == text


def test_a_folder_of_today_is_opened_as_it_is(tmp_path, caplog):
    work, posterior = reopened(left(tmp_path / "new", ONE))
    assert work.simulator.instrument.multiphonon
    assert len(posterior.draws) == 300
    assert caplog.messages == []


def test_models_of_spins_have_not_changed(tmp_path, caplog):
    work, _ = reopened(left(tmp_path / "spins", ONE, "mnf2", lacking=KEY))
    assert work.simulator.model.name == "mnf2"
    assert caplog.messages == []
