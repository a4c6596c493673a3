"""Files that are made to harm: what is no file, archives under our names, and headers that promise gigabytes."""

import gzip
import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io

from benchmarks.hostile.damage import Rng
from benchmarks.hostile.specimens import Specimen, as_bytes

MARK = "was-executed"
"""The file that a pickle would make, if anyone loaded it."""
PLAIN = 15 * 2**20
"""Bytes of a text that is just short enough to be read, or just too long."""


class _Runs:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


def no_file(path: Path, rng: Rng) -> Path:
    """A folder, a loop, a link to nothing, a pipe, a device, or an empty file."""
    match rng.integers(6):
        case 0:
            path.mkdir()
        case 1:
            path.symlink_to(path)
        case 2:
            path.symlink_to(path.with_name("nowhere"))
        case 3:
            os.mkfifo(path)
        case 4:
            path.symlink_to("/dev/zero")
        case _:
            path.write_bytes(b"")
    return path


def archive(path: Path, rng: Rng) -> Path:
    """Something else under this name: zip, pickle, gzip, numpy with objects, or a script."""
    mark = _Runs(path.parent / MARK)
    objects = io.BytesIO()
    np.save(objects, np.array([mark], dtype=object), allow_pickle=True)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(mark))
    odd = [zipped.getvalue(), pickle.dumps(mark), gzip.compress(b"1 2 3\n" * 1000), objects.getvalue(), as_bytes([1.0])]
    path.write_bytes(odd[rng.integers(len(odd))])
    return path


def renamed(path: Path, specimen: Specimen, rng: Rng) -> Path:
    """The whole file, or its first half, under a name that would spoil a message."""
    names = ["a\nb", "\x1b[31mred", "x" * 250, "{0}%s%n", " ", "-rf", os.fsdecode(b"\xff\xfe"), "#", "a\r\nb\tc"]
    path = path.with_name(names[rng.integers(len(names))])
    content = specimen.content[: len(specimen.content) // int(rng.integers(1, 4))]
    path.write_bytes(content)
    return path


def told_wrongly(path: Path, specimen: Specimen, rng: Rng) -> Path:
    """The whole file beside a FILE.toml that would harm."""
    path.write_bytes(specimen.content)
    beside = path.with_name(f"{path.name}.toml")
    texts = [
        "axes = " + "[" * 20000,
        "incident_energy = " + "9" * 5000,
        "incident_energy = " + "9" * 400,
        "incident_energy = nan\ntemperature = -inf",
        "lattice = [0, -1, nan, 1e308, 90, 90]",
        "beam = [0, 0, 0]\nincident_energy = 1e308",
        'ranges = { "[0,0,L]" = [nan, inf], "[H,-H,0]" = [1, -1] }',
        "temperature = " + repr("x" * 5000),
        "x = 1\n" * 2 + "".join(f"k{n} = {n}\n" for n in range(50000)),
        "axes = [" + '"energy",' * 3000 + "]",
        "\xff\x00",
        "a." * 20000 + "b = 1",
    ]
    beside.write_text(texts[rng.integers(len(texts))], encoding="latin-1")
    return path


def matlab(rng: Rng) -> bytes:
    """Compressed structs and cells that are large, promise to be, or are nested without end."""
    match rng.integers(5):
        case 0:
            return _saved({"x": np.zeros((2, 2)), "y": {"inner": np.zeros(2 ** int(rng.integers(20, 27)))}, "e": 1.0})
        case 1:
            return _saved({"x": [1, 2], "y": np.zeros((2**10, 2 ** int(rng.integers(10, 15)))), "e": np.zeros(3)})
        case 2:
            deep: object = 1.0
            for _ in range(300):
                deep = {"a": deep}
            return _saved({"x": deep, "y": 1.0, "e": 1.0})
        case 3:
            return _matlab(
                _element(14, _header(2, (1, 1)) + struct.pack("<iii", 5 | 4 << 16, 32, 1) + b"a" * 32 * 10**5)
            )
        case _:
            kind = int(rng.choice([1, 2, 4, 6]))
            shape = [(2**20, 2**10), (2**28, 1), (-1, 5), (2**31 - 1, 2**31 - 1)][rng.integers(4)]
            return _matlab(_element(14, _header(kind, shape) + struct.pack("<ii", 9, 8) + bytes(8)))


def _saved(content: dict[str, object]) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, content, do_compression=True)
    return file.getvalue()


def _header(kind: int, shape: tuple[int, int]) -> bytes:
    """Flags, dimensions and the name y of a MATLAB array."""
    flags = struct.pack("<iiii", 6, 8, kind, 0)
    return flags + struct.pack("<iiii", 5, 8, *shape) + struct.pack("<HH4s", 1, 1, b"y")


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<ii", kind, len(content)) + content


def _matlab(element: bytes) -> bytes:
    start = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM")
    return start + _element(15, zlib.compress(element))


def horace(rng: Rng) -> bytes:
    """A first header with strings and arrays that promise gigabytes, or structs within structs."""
    version = float(rng.choice([2.0, 3.1, 4.0]))
    start = b"\x06\x00\x00\x00horace" + struct.pack("<dii", version, int(rng.integers(2)), 4)
    sizes = [2**31 - 1, -1, 2**28, 2**30, 0]
    words = [int(rng.choice(sizes)) % 2**32 for _ in range(int(rng.integers(1, 40)))]
    body = struct.pack(f"<{len(words)}I", *words)
    if version == 4.0 and rng.random() < 0.5:
        names = b"".join(struct.pack("<I", len(n)) + n for n in (b"", b"data", b"metadata"))
        table = struct.pack("<II", 1, 1) + names
        place = len(start) + len(table) + 16
        nested = bytes([int(rng.choice([23, 24, 32])), 1]) + struct.pack("<I", 1)
        body = table + struct.pack("<QII", place, 10, 0) + nested * 5000
    return start + body + bytes(int(rng.integers(3)) * 10**5)


def covariance(rng: Rng) -> bytes:
    """Gzip bombs: zeros, rows of a table, bombs within bombs, or damaged after much."""
    row = b"0.1 0.1 1 1 0 0 0 1 0 0 0 1\n"
    match rng.integers(5):
        case 0:
            return gzip.compress(bytes(2**27), 1)
        case 1:
            return gzip.compress(row * (PLAIN // len(row) * int(rng.integers(1, 10))), 1)
        case 2:
            return gzip.compress(gzip.compress(bytes(2**24)))
        case 3:
            return gzip.compress(row * 200_000, 1)[:-20]
        case _:
            rows = np.random.default_rng(int(rng.integers(9))).random((int(rng.integers(2, 40000)), 3))
            return b"".join(b"%.4f %.4f %.4f 1 0 0 0 1 0 0 0 1\n" % tuple(each) for each in rows)


def text(rng: Rng) -> bytes:
    """A long text that begins as a format does: rows without end, one row without end, or nesting."""
    start = [
        b"Q [1/angstrom],energy [meV],intensity,error\n",
        b"h [rlu],k [rlu],l [rlu],energy [meV],intensity,error\n",
        b"h,k,l,energy,error\n",
        b"# scan = 1\n# builtin_command = scan\n# col_headers =\n# Pt. h k l e\n",
        b"#ICE 1\n#Columns h k l e detector\n",
        b"ILL TAS data in the new ASCII format\nDATA_:\nPNT QH QK QL EN\n",
        b"'a' 'b' 'c' 1. 1\nFilename Prf Base #pts\nh k l E Counts\n",
        b"   4000   4000\n### Phi Grid\n",
        b"3000 3000\n\n1\n",
        b"# Number of x values\n",
        b'{"__euphonic_class__": "Spectrum2D", "z_data": [',
        b"",
    ][rng.integers(12)]
    row = [
        b"1,2,3,4\n",
        b"1 2 3 4\n",
        b"1 2 3 4 5\n",
        b"1,2,3,4,5,6\n",
        b"1\n",
        b"\n",
        b"1 ",
        b"1,",
        b"[],",
        b"[",
        b"##\n",
    ]
    each = row[rng.integers(len(row))]
    size = int(rng.choice([PLAIN // 8, PLAIN, 3 * PLAIN, 70 * 2**20]))
    return start + each * (size // len(each))


BOMBS: dict[str, Callable[[Rng], bytes]] = {"mat": matlab, "horace": horace, "covariance": covariance, "text": text}
