import dataclasses

import h5py
import pytest
import torch

from sqwirrel.errors import InputError
from sqwirrel.infer import store


def test_a_posterior_survives_its_file(good, tmp_path):
    posterior = dataclasses.replace(good.posterior, finer={"map": 4})
    store.save(tmp_path / "posterior.h5", posterior)
    again = store.load(tmp_path / "posterior.h5")
    for field in dataclasses.fields(posterior):
        old, new = getattr(posterior, field.name), getattr(again, field.name)
        if isinstance(old, torch.Tensor):
            assert torch.equal(old, new)
        elif field.name == "basins":
            assert all(torch.equal(a.theta, b.theta) for a, b in zip(old, new, strict=True))
            assert [(a.log_posterior, a.starts, a.probability) for a in old] == [
                (b.log_posterior, b.starts, b.probability) for b in new
            ]
        else:
            assert old == new
    assert [path.name for path in tmp_path.iterdir()] == ["posterior.h5"]


def test_a_posterior_of_before_averages_were_made_finer_has_the_usual_ones(good, tmp_path):
    path = tmp_path / "posterior.h5"
    store.save(path, good.posterior)
    with h5py.File(path, "a") as file:
        del file["finer"]
    assert store.load(path).finer == {}


def test_an_interrupted_save_leaves_what_was_there(good, tmp_path, monkeypatch):
    path = tmp_path / "posterior.h5"
    store.save(path, good.posterior)
    before = path.read_bytes()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_checks_into", stop)
    with pytest.raises(KeyboardInterrupt):
        store.save(path, good.posterior)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["posterior.h5"]


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_what_is_no_posterior_is_refused(tmp_path, content):
    path = tmp_path / "posterior.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"posterior\.h5"):
        store.load(path)
