"""Models of the library have the energies of their closed forms, whatever cell they are described in."""

import tomllib

import pytest
import torch

from sqwirrel.model import library
from sqwirrel.model.parse import parse

spinwave = pytest.importorskip("sqwirrel.simulate.spinwave")


def spectrum(model, Q):
    """Energies and intensities at Cartesian Q, 1/A; intensities summed over modes, with E and E^2 as weights."""
    modes = spinwave.SpinWaves(model, model.lattice.to_rlu(Q))(model.pack())
    energy, intensity = modes.energy[0], modes.intensity[0]
    return torch.cat([energy, *((intensity * energy**k).sum(-1, keepdim=True) for k in (0, 1, 2))], -1)


@pytest.mark.parametrize(
    ("name", "q", "energy"),
    [
        ("fm_chain", [0.25, 0.3, 0.1], 2.0),
        ("fm_chain", [0.5, 0.0, 0.0], 4.0),
        ("mnf2", [0, 0, 1], 2.5 * (4 * 0.019**2 + 32 * 0.304 * 0.019) ** 0.5),
        ("mnf2", [0, 0, 0.5], 2.5 * (8 * 0.304 + 4 * 0.056 + 2 * 0.019)),
        ("rb2mnf4", [0.5, 0.5, 0.3], 0.636),
        ("rb2mnf4", [0.5, 0, 0], 5 * (2 * 0.657 - 4 * 0.006 + 0.00615)),
        ("la2nio4", [0.25, 0.25, 0], 4 * (29.00 - 1.67)),
        ("la2nio4", [0.5, 0, 0], 4 * (29.00 - 2 * 1.67)),
    ],
)
def test_library_energies_are_the_closed_forms(name, q, energy):
    model = library.load(name)
    modes = spinwave.SpinWaves(model, torch.tensor([q], dtype=torch.float64))(model.pack())
    # The published gap of Rb2MnF4 is given to three digits.
    assert float(modes.energy[0, 0, 0]) == pytest.approx(energy, abs=1e-3)


def test_supercell_and_primitive_cell_have_one_spectrum():
    primitive = library.load("rb2mnf4")
    mapping = tomllib.loads((library.FOLDER / "rb2mnf4.toml").read_text())
    mapping["order"]["supercell"] = [[2, 0, 0], [0, 2, 0], [0, 0, 1]]
    large = parse(mapping)
    assert len(large.spins) == 8
    Q = torch.tensor([[0.3, 0.4, 0.2], [0.9, 0.1, 0.7]], dtype=torch.float64)
    one, other = spectrum(primitive, Q), spectrum(large, Q)
    assert torch.allclose(one[:, 0], other[:, 0], rtol=1e-6)
    # Intensities are per spin.
    assert torch.allclose(one[:, -3:], other[:, -3:], rtol=1e-6)
