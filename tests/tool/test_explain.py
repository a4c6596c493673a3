"""The verb that explains: an answer of infer, files and maps of what every bin has told."""

import pytest

from sqwirrel.spectra import read


def test_what_bins_have_told_is_printed_kept_and_drawn(run, configs) -> None:
    assert run("simulate", "truth.toml", "--out", "measured").exit_code == 0
    assert run("infer", "chain.toml").exit_code in {0, 1}
    result = run("explain", "chain")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split()[:2] == ["J", "the"]
    assert lines[-1] == "maps: chain/explained"
    folder = configs[1].parent / "chain" / "explained"
    assert {path.name for path in folder.iterdir()} == {"influence-J.h5", "influence-J.png"}
    found, spectrum = read(folder / "influence-J.h5"), read(configs[1].parent / "chain" / "spectrum.h5")
    assert found.measurement.same_bins(spectrum.measurement)
    assert float(found.intensity.abs().max()) > 0


@pytest.mark.usefixtures("configs")
def test_only_answers_are_explained(refused) -> None:
    assert refused("explain", "nowhere") == (
        "'nowhere' holds no config.toml; give a folder that sqwirrel infer has left"
    )
