"""MATLAB's files of version 5 to 7, taken apart here so that no size in them is believed before its bytes are there.

After a header of 128 bytes stand elements: a tag (uint32 type, uint32 size; or both in the first four bytes and up to
four bytes of content), and the content, padded to 8 bytes. Type 15 is zlib around one element, 14 an array: its flags
(class in the lowest byte), dimensions, name, and what the class has: numbers in any numeric type, by columns; UTF-16 or
UTF-8 text; arrays, for a cell; the length of a name, names, and arrays by entry, for a struct. (MathWorks, "MAT-File
Format", R2023b.) Sparse arrays, objects and functions are left out.
"""

import struct
import zlib
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sqwirrel.errors import InputError
from sqwirrel.limits import LARGEST, check_count

SIGNATURE = b"MATLAB 5.0 MAT-file"
HEADER, DEEPEST = 128, 20
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2"}
ARRAY, COMPRESSED, UTF8 = 14, 15, 16
CELL, STRUCT, TEXT, NUMBERS = 1, 2, 4, range(6, 16)
TOTAL = 4 * LARGEST
"""Bytes of all variables, unpacked."""


def load(path: Path, names: Collection[str]) -> dict[str, Any]:
    """These variables: numbers as arrays, text as str, a cell as a list, a struct as a dict (a list of them)."""
    content = path.read_bytes() if path.stat().st_size <= TOTAL else b""
    if len(content) < HEADER:
        raise damage(path, f"it has {path.stat().st_size} bytes")
    order = ">" if content[126:128] == b"MI" else "<"
    found, total = {}, 0
    for kind, packed in _elements(content[HEADER:], order, path):
        whole = _unpacked(packed, order, path) if kind == COMPRESSED else [(kind, packed)]
        total += sum(len(each) for _, each in whole)
        if total > TOTAL:
            raise InputError(f"{path.name} holds more than {TOTAL} bytes; save only x, y, e and labels")
        for inner, held in whole:
            if inner == ARRAY:
                name, value = _array(held, order, path, 0, names)
                found[name] = value
    return {name: value for name, value in found.items() if name in names}


def damage(path: Path, why: str) -> InputError:
    """The complaint that a file is not as MATLAB writes it."""
    return InputError(f"{path.name} is a MATLAB file that is truncated or damaged ({why}); fetch a complete copy")


def _unpacked(packed: bytes, order: str, path: Path) -> list[tuple[int, bytes]]:
    try:
        content = zlib.decompressobj().decompress(packed, TOTAL + 1)
    except zlib.error as error:
        raise damage(path, str(error)) from None
    return list(_elements(content, order, path)) if len(content) <= TOTAL else [(0, content)]


def _elements(content: bytes, order: str, path: Path) -> Iterator[tuple[int, bytes]]:
    """Type and content of each element."""
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, at)
        start, step = at + 8, 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)
        if kind >> 16:
            kind, size, start, step = kind & 0xFFFF, kind >> 16, at + 4, 8
        if start + size > len(content) or (step == 8 and size > 4):
            raise damage(path, f"an element of {size} bytes at byte {at} of {len(content)}")
        yield kind, content[start : start + size]
        at += step


def _array(content: bytes, order: str, path: Path, depth: int, names: Collection[str] = ()) -> tuple[str, Any]:
    """Name and value; only of these names, if any are given."""
    parts = list(_elements(content, order, path))
    if not parts:
        return "", np.zeros((0, 0))
    if depth > DEEPEST or len(parts) < 3 or len(parts[0][1]) != 8:
        raise damage(path, "an array that is none")
    kind = int(np.frombuffer(parts[0][1], f"{order}u4")[0]) & 0xFF
    shape = _numbers(*parts[1], order, path).astype(np.int64).tolist()
    name = parts[2][1].decode("latin-1")
    if names and name not in names:
        return name, None
    if min(shape, default=-1) < 0:
        raise damage(path, f"an array of the shape {shape[:4]}")
    check_count(prod(shape), name or "an array", path)
    return name, _value(kind, shape, parts[3:], order, path, depth)


def _value(kind: int, shape: list[int], parts: list[tuple[int, bytes]], order: str, path: Path, depth: int) -> Any:
    count = prod(shape)
    if kind in NUMBERS and parts:
        numbers = _numbers(*parts[0], order, path)
        if len(numbers) != count:
            raise damage(path, f"{len(numbers)} numbers for the shape {shape[:4]}")
        return numbers.astype(np.float64).reshape(shape, order="F")
    if kind == TEXT and parts:
        return _text(*parts[0], order, path)
    if kind not in (CELL, STRUCT):
        return None
    fields = _fields(parts, path) if kind == STRUCT else [""]
    arrays = parts[2:] if kind == STRUCT else parts
    if len(arrays) != count * len(fields) or any(each != ARRAY for each, _ in arrays):
        raise damage(path, f"{len(arrays)} entries for {count} times {len(fields)}")
    values = [_array(held, order, path, depth + 1)[1] for _, held in arrays]
    if kind == CELL:
        return values
    n = len(fields)
    entries = [dict(zip(fields, values[k : k + n], strict=True)) for k in range(0, len(values), n)]
    return entries[0] if len(entries) == 1 else entries


def _fields(parts: list[tuple[int, bytes]], path: Path) -> list[str]:
    """Names of the fields of a struct, each padded to one length; at least one."""
    length = int.from_bytes(parts[0][1][:1], "little") if parts else 0
    if len(parts) < 2 or not 1 <= length <= 64 or not parts[1][1]:
        raise damage(path, "a struct without fields")
    joined = parts[1][1]
    return [joined[k : k + length].split(b"\0")[0].decode("latin-1") for k in range(0, len(joined), length)]


def _text(kind: int, content: bytes, order: str, path: Path) -> str:
    if kind == UTF8:
        return content.decode("utf-8", "replace")
    return "".join(chr(int(code) & 0xFFFF) for code in _numbers(kind, content[:4096], order, path))


def _numbers(kind: int, content: bytes, order: str, path: Path) -> np.ndarray:
    """Numbers of any of the numeric types."""
    dtype = np.dtype(order + TYPES.get(kind, "u1"))
    if kind not in TYPES or len(content) % dtype.itemsize:
        raise damage(path, f"numbers of the type {kind} in {len(content)} bytes")
    return np.frombuffer(content, dtype)
