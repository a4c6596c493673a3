"""Ways to damage the bytes of a file: any file, one of text, and one of binary numbers."""

import re
from collections.abc import Callable

import numpy as np

Rng = np.random.Generator
Change = Callable[[bytes, Rng], bytes]
WORDS = (
    "nan",
    "inf",
    "-inf",
    "1e308",
    "-1",
    "0",
    "1e-320",
    "99999999999999999999",
    "1e400",
    "0x1p3",
    "1_0",
    "",
    "\u0663",
)
NUMBER = re.compile(rb"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
INTEGERS = (-1, 0, 1, 2**7, 2**16, 2**24, 2**28, 2**31 - 1, -(2**31), 2**32 - 1, 2**62)
REALS = (np.nan, np.inf, -np.inf, 1e308, -1.0, 0.0, 1e-310, 1e300, -1e30)
LONG = 300_000


def truncated(content: bytes, rng: Rng) -> bytes:
    """Cut anywhere, often near the start."""
    return content[: int(len(content) * rng.random() ** 2)]


def flipped(content: bytes, rng: Rng) -> bytes:
    """One to 64 bits turned; half of the time in the first kilobytes, where headers are."""
    data = np.frombuffer(content, np.uint8).copy()
    if len(data):
        top = min(len(data), 4096) if rng.random() < 0.5 else len(data)
        for _ in range(2 ** int(rng.integers(7))):
            data[rng.integers(top)] ^= 1 << rng.integers(8)
    return data.tobytes()


def overwritten(content: bytes, rng: Rng) -> bytes:
    """A span of random bytes, zeros or ones."""
    start, stop = _span(content, rng)
    new = [rng.bytes(stop - start), bytes(stop - start), b"\xff" * (stop - start)][rng.integers(3)]
    return content[:start] + new + content[stop:]


def removed(content: bytes, rng: Rng) -> bytes:
    """Without a span."""
    start, stop = _span(content, rng)
    return content[:start] + content[stop:]


def repeated(content: bytes, rng: Rng) -> bytes:
    """A span twice."""
    start, stop = _span(content, rng)
    return content[:stop] + content[start:]


def counts_changed(content: bytes, rng: Rng) -> bytes:
    """Some 4- or 8-byte words of the first kilobytes replaced by counts that cannot be."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        size = 4 if rng.random() < 0.6 else 8
        if len(data) > 16:
            at = int(rng.integers(min(len(data) - size, 4096)))
            data[at : at + size] = (int(rng.choice(INTEGERS)) % 2 ** (8 * size)).to_bytes(size, "little")
    return bytes(data)


def reals_changed(content: bytes, rng: Rng) -> bytes:
    """Some float32 or float64 anywhere replaced by numbers that nobody measured."""
    data = bytearray(content)
    with np.errstate(all="ignore"):
        for _ in range(int(rng.integers(1, 20))):
            kind = "<f4" if rng.random() < 0.5 else "<f8"
            size = np.dtype(kind).itemsize
            if len(data) > 16:
                at = int(rng.integers((len(data) - size) // 4)) * 4
                data[at : at + size] = np.float64(rng.choice(REALS)).astype(kind).tobytes()
    return bytes(data)


def numbers_changed(content: bytes, rng: Rng) -> bytes:
    """One to five numbers of a text replaced, or all in a part of it."""
    head, tail = content[:200_000], content[200_000:]
    found, word = list(NUMBER.finditer(head)), str(rng.choice(WORDS)).encode()
    if not found:
        return content
    if rng.random() < 0.3:
        start = found[rng.integers(len(found))].start()
        return head[:start] + NUMBER.sub(lambda _: word, head[start:]) + tail
    for k in sorted(rng.integers(len(found), size=int(rng.integers(1, 6))).tolist(), reverse=True):
        head = head[: found[k].start()] + word + head[found[k].end() :]
    return head + tail


def lines_changed(content: bytes, rng: Rng) -> bytes:
    """Lines taken out, repeated, moved or swapped."""
    lines = content.split(b"\n")
    start, stop = sorted(rng.integers(len(lines) + 1, size=2).tolist())
    stop = min(stop, start + int(rng.integers(1, 30)))
    part = lines[start:stop]
    match rng.integers(4):
        case 0:
            lines[start:stop] = []
        case 1:
            lines[start:stop] = part * int(rng.integers(2, 50))
        case 2:
            lines = [*part, *lines[:start], *lines[stop:]]
        case _:
            lines[start:stop] = rng.permutation(np.array(part, dtype=object)).tolist()
    return b"\n".join(lines)


def long_line(content: bytes, rng: Rng) -> bytes:
    """A line of hundreds of kilobytes: of one letter, of digits, of words, of brackets, of a nested table."""
    lines = content.split(b"\n")
    long = [b"x", b"9", b"1 ", b"1,", b"[", b"(", b"a=", b'"', b"# ", b"-", b"1e"][rng.integers(11)]
    size = LONG if rng.random() < 0.7 else 5000
    at = int(rng.integers(min(len(lines), 20)))
    lines[at] = (lines[at] if rng.random() < 0.5 else b"") + long * (size // len(long))
    return b"\n".join(lines)


def encoded(content: bytes, rng: Rng) -> bytes:
    """In another encoding, with other ends of lines, or with bytes that no text has."""
    text = content.decode("utf-8", "replace")
    choices: list[Callable[[], bytes]] = [
        lambda: text.encode("utf-16"),
        lambda: text.encode("utf-32-be"),
        lambda: b"\xef\xbb\xbf" + content,
        lambda: content.replace(b"\n", b"\r"),
        lambda: content.replace(b"\n", b"\r\n"),
        lambda: content.replace(b"\n", "\u2028".encode()),
        lambda: content.replace(b"e", b"\xe9"),
        lambda: content.replace(b" ", b"\0", 3),
        lambda: content.replace(b" ", "\u00a0".encode()),
        lambda: content.replace(b"\n", b"\n\x1b[31m"),
        lambda: content.replace(b",", b";"),
        lambda: content.replace(b".", b","),
    ]
    return choices[rng.integers(len(choices))]()


def letters_changed(content: bytes, rng: Rng) -> bytes:
    """A few characters of a text replaced by others that mean something to a parser."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 12))):
        if data:
            top = min(len(data), 3000) if rng.random() < 0.7 else len(data)
            at = int(rng.integers(top))
            data[at : at + 1] = bytes(rng.choice(list(b"#,[]{}()'\"=:-.e \n\t0\\/*")).tobytes()[:1])
    return bytes(data)


def _span(content: bytes, rng: Rng) -> tuple[int, int]:
    """A short span anywhere, half of the time near the start."""
    top = min(len(content), 8192) if rng.random() < 0.5 else len(content)
    start = int(rng.integers(top + 1))
    return start, min(len(content), start + int(2 ** (12 * rng.random())))


ANY: tuple[Change, ...] = (truncated, flipped, overwritten, removed, repeated)
BINARY: tuple[Change, ...] = (counts_changed, reals_changed)
TEXT: tuple[Change, ...] = (
    numbers_changed,
    numbers_changed,
    lines_changed,
    lines_changed,
    long_line,
    encoded,
    letters_changed,
)
