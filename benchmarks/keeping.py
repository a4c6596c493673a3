"""Results of single runs kept as files, so that a benchmark that was interrupted goes on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqwirrel.whole import put_text


def kept(file: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What is in the file, or what `make` gives, which is put there whole."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        put_text(file, json.dumps(make()))
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
