import struct

import numpy as np
import pytest

from sqwirrel.errors import InputError
from sqwirrel.spectra import QGrid, QShells, read

H_EDGES, E_EDGES = np.array([-0.5, 0.0, 0.5, 1.0]), np.array([1.0, 3.0, 5.0])
S, E = np.arange(6.0).reshape(3, 2), np.arange(6.0).reshape(3, 2) / 2
NPIX = np.array([[2, 0], [1, 3], [5, 1]])


def text(words):
    return struct.pack("<i", len(words)) + words.encode()


def ints(*numbers):
    return struct.pack(f"<{len(numbers)}i", *numbers)


def floats(*numbers):
    return np.array(numbers, dtype="<f4").tobytes()


def run(efix=80.0, emode=1):
    angles = floats(4, 4, 9, 90, 90, 90, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    return (
        text("r")
        + text("p")
        + floats(efix)
        + ints(emode)
        + angles
        + ints(2)
        + floats(0, 1)
        + floats(*[0] * 24)
        + ints(1, 3)
        + b"QQQ"
    )


def stream(*, runs=(), third=(-0.1, 0.1), version=2.0, offset=(0.0, 0.0, 0.5, 1.0)):
    """A two-dimensional dnd or, with runs, sqw file of version 2: (h h 0) and energy."""
    kind = int(bool(runs))
    out = ints(6) + b"horace" + struct.pack("<d", version) + ints(kind, 2)
    if runs:
        out += text("a") + text("b") + text("c") + ints(len(runs)) + b"".join(runs)
        out += text("d") + text("e") + ints(2) + floats(*range(12))
    matrix = np.array([[1, -1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    out += (
        text("a") + text("b") + text("c") + floats(4, 4, 9, 90, 90, 90, *offset, *matrix.ravel(order="F"), 2, 2, 1, 1)
    )
    out += ints(4, 2) + b"labels!!" + ints(2) + ints(2, 3) + floats(-0.2, 0.2, *third) + ints(1, 4)
    for edges in (H_EDGES, E_EDGES):
        out += ints(len(edges)) + floats(*edges)
    out += ints(1, 2) + floats(*S.ravel(order="F")) + floats(*E.ravel(order="F"))
    out += NPIX.ravel(order="F").astype("<i8").tobytes()
    return out + (b"pixels that nobody reads" if runs else b"")


def array(tag, dtype, values, shape=None):
    shape = shape or (np.size(values),)
    return (
        struct.pack("<BB", tag, len(shape))
        + struct.pack(f"<{len(shape)}I", *shape)
        + np.asarray(values, dtype=dtype).tobytes()
    )


def value(content):
    """An object of version 4."""
    if isinstance(content, str):
        return array(1, "u1", list(content.encode()))
    if isinstance(content, bool):
        return array(0, "u1", [content])
    if isinstance(content, dict):
        names = [name.encode() for name in content]
        cell = struct.pack("<BB2I", 23, 2, len(names), 1) + b"".join(map(value, content.values()))
        head = struct.pack("<BBI", 24, 1, 1) + struct.pack(f"<I{len(names)}I", len(names), *map(len, names))
        return head + b"".join(names) + cell
    return array(3, "<f8", np.asarray(content, dtype=float).ravel())


PROJECTION = {
    "alatt": [4, 4, 9], "angdeg": [90, 90, 90], "offset": [0, 0, 0.5, 1], "u": [1, 1, 0], "v": [-1, 2, 0], "w": [],
    "nonorthogonal": False, "type": "rrr", "serial_name": "line_proj",
}  # fmt: skip
A_STAR = 2 * np.pi / 4
AXES = {
    "img_range": [-0.5, 1, -0.2, 0.2, -0.1, 0.1, 1, 5], "nbins_all_dims": [3, 1, 1, 2], "dax": [1, 2],
    "img_scales": [A_STAR * 2**0.5, A_STAR * 2**0.5, 2 * np.pi / 9, 1], "serial_name": "line_axes",
}  # fmt: skip


def blocks(axes=AXES, projection=PROJECTION, *, wrapped=False):
    """A dnd file of version 4."""
    metadata = value({"axes": axes, "proj": projection, "serial_name": "dnd_metadata"})
    metadata = b"\x20" + metadata if wrapped else metadata
    data = struct.pack("<3I", 2, 3, 2) + S.ravel(order="F").tobytes() + E.ravel(order="F").tobytes()
    data += NPIX.ravel(order="F").astype("<u8").tobytes()
    head = ints(6) + b"horace" + struct.pack("<d", 4.0) + ints(0, 2)
    entries = [("data_block", "data", "metadata", metadata), ("dnd_data_block", "data", "nd_data", data)]
    size = 4 + sum(12 + sum(map(len, each[:3])) + 16 for each in entries)
    place, table = len(head) + 4 + size, b""
    for kind, first, second, content in entries:
        table += text(kind) + text(first) + text(second) + struct.pack("<QII", place, len(content), 0)
        place += len(content)
    return head + ints(size, len(entries)) + table + metadata + data


def saved(tmp_path, content):
    (tmp_path / "a.sqw").write_bytes(content)
    return tmp_path / "a.sqw"


@pytest.mark.parametrize(
    "content", [stream(), stream(version=3.3), stream(runs=[run(), run()]), blocks(), blocks(wrapped=True)]
)
def test_all_versions_hold_the_same_cut(tmp_path, content):
    spectrum = read(saved(tmp_path, content))
    grid = spectrum.measurement.points
    assert isinstance(grid, QGrid)
    np.testing.assert_allclose(grid.axes, [[1, 1, 0], [-1, 1, 0], [0, 0, 1]], atol=1e-7)
    for edges, expected in zip(grid.edges, (H_EDGES, [-0.2, 0.2], [-0.1, 0.1]), strict=True):
        np.testing.assert_allclose(edges, expected, rtol=1e-12)
    np.testing.assert_allclose(spectrum.measurement.energy, E_EDGES + 1, rtol=1e-12)
    assert grid.origin.tolist() == [0, 0, 0.5]
    assert grid.lattice.c == 9
    np.testing.assert_array_equal(spectrum.valid, NPIX > 0)
    np.testing.assert_array_equal(spectrum.intensity, np.where(NPIX > 0, S, 0))
    np.testing.assert_allclose(spectrum.error**2, np.where(NPIX > 0, E, 0), rtol=1e-7)


@pytest.mark.parametrize(
    ("runs", "incident", "final"),
    [
        ([run(80, 1)] * 2, 80, None),
        ([run(80, 1), run(40, 1)], None, None),
        ([run(5, 2)], None, 5),
        ([run(80, 1), run(5, 2)], None, None),
    ],
)
def test_runs_that_agree_say_what_energy_was_held(tmp_path, runs, incident, final):
    measurement = read(saved(tmp_path, stream(runs=runs))).measurement
    assert (measurement.incident_energy, measurement.final_energy) == (incident, final)


def test_axes_at_other_angles_are_their_directions_themselves(tmp_path):
    scales = [A_STAR, A_STAR * 5**0.5, 2 * np.pi / 9, 1]
    projection = {**PROJECTION, "u": [2, 0, 0], "v": [-1, 2, 0], "w": [0, 0, 3], "nonorthogonal": True}
    grid = read(saved(tmp_path, blocks({**AXES, "img_scales": scales}, projection))).measurement.points
    np.testing.assert_allclose(grid.axes, [[1, 0, 0], [-1, 2, 0], [0, 0, 1]], atol=1e-7)


def test_spherical_axes_without_angles_are_a_powder_map(tmp_path):
    axes = {
        **AXES,
        "serial_name": "spher_axes",
        "img_range": [0, 3, 0, 180, -180, 180, 1, 5],
        "img_scales": [1, 1, 1, 1],
    }
    spectrum = read(saved(tmp_path, blocks(axes)))
    assert isinstance(spectrum.measurement.points, QShells)
    assert spectrum.measurement.points.edges.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(spectrum.intensity, np.where(NPIX > 0, S, 0))


def test_a_range_without_bounds_is_asked_for(tmp_path):
    path = saved(tmp_path, stream(third=(-np.inf, np.inf)))
    with pytest.raises(
        InputError, match=r"does not hold the range along \[0,0,1\], which was integrated without bounds"
    ):
        read(path)
    (tmp_path / "a.sqw.toml").write_text('ranges = { "[0,0,L]" = [-2, 2] }')
    assert read(path).measurement.points.edges[2].tolist() == [-2, 2]
    (tmp_path / "a.sqw.toml").write_text("beam = [0, 0, 1]")
    with pytest.raises(InputError, match="is a cut, which holds no incident energy"):
        read(path)
    beam = read(path, incident_energy=40).measurement.points.beam
    assert (beam.direction.tolist(), beam.incident_energy) == ([0, 0, 1], 40)


@pytest.mark.parametrize("content", [stream(), stream(runs=[run()]), blocks()], ids=["dnd 2", "sqw 2", "dnd 4"])
@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.95])
def test_a_file_cut_short_is_said_to_be(tmp_path, content, part):
    with pytest.raises(InputError, match=r"a\.sqw (is truncated or damaged|is damaged)"):
        read(saved(tmp_path, content[: int(part * len(content) * 0.93)]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (stream(version=1.0), "has the Horace version 1; versions 2 to 4 are read"),
        (ints(6) + b"horace" + struct.pack("<d", 2.0) + ints(0, 2) + ints(2**31 - 1), "an array would end at byte"),
        (blocks({**AXES, "nbins_all_dims": [3, 1, 1]}), "is damaged: 'nbins_all_dims' should have 4 numbers"),
        (blocks({**AXES, "nbins_all_dims": [3, 1, 1, 3]}), "is damaged: its data have the shape [3, 2], its axes [3, 1, 1, 3]"),
        (blocks({**AXES, "nbins_all_dims": [1e12, 1, 1, 2]}), "is damaged: its axes have"),
        (blocks({**AXES, "serial_name": "cylinder_axes"}), "is binned in cylinder_axes; only |Q| and energy of these is read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_cannot_be_is_refused(tmp_path, content, message):
    with pytest.raises(InputError) as caught:
        read(saved(tmp_path, content))
    assert message in str(caught.value)


def test_a_struct_without_fields_cannot_take_memory(tmp_path):
    empty = struct.pack("<BBI", 24, 1, 2**32 - 1) + struct.pack("<I", 0) + struct.pack("<BB2I", 23, 2, 0, 1)
    content = blocks().replace(value(PROJECTION), empty.ljust(len(value(PROJECTION)), b"\0"))
    with pytest.raises(InputError, match=r"is damaged: a struct has 0 names"):
        read(saved(tmp_path, content))


def test_two_ranges_without_bounds_are_asked_for_one_by_one(tmp_path):
    axes = {**AXES, "img_range": [-0.5, 1, -np.inf, np.inf, -np.inf, np.inf, 1, 5]}
    path = saved(tmp_path, blocks(axes))
    (tmp_path / "a.sqw.toml").write_text("beam = [0, 0, 1]\nincident_energy = 40")
    with pytest.raises(InputError, match=r"does not hold the range along \[-1,1,0\], which was integrated without"):
        read(path)


@pytest.mark.parametrize("content", [stream(runs=[run()]), blocks()], ids=["sqw 2", "dnd 4"])
def test_damage_anywhere_ends_in_a_spectrum_or_in_one_sentence(tmp_path, content):
    damage = np.random.default_rng(5)
    refused = []
    for _ in range(150):
        damaged = bytearray(content)
        start = int(damage.integers(len(content) - 4))
        damaged[start : start + 4] = damage.choice(
            [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x10"]
        )
        try:
            read(saved(tmp_path, bytes(damaged)))
        except InputError as error:
            refused.append(str(error))
    assert 10 < len(refused) < 140
    assert not any("\n" in each for each in refused)
