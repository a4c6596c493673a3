"""Bulk numbers measured and of the model, as data and as a table."""

from html import escape
from typing import Any

from sqwirrel.report.numbers import plain
from sqwirrel.report.result import DRAWS, BulkResult

ABOUT = f"""Model: at the best fit, with its standard deviation over {DRAWS} posterior draws. Residual: measured minus
model, in standard deviations of the measurement."""


def described_bulk(result: BulkResult) -> dict[str, Any]:
    """Bulk numbers: measured, and of the model at the best fit, with the spread of the posterior."""
    model = zip(result.predicted[0].tolist(), result.predicted[1:].std(0).tolist(), strict=True)
    return {
        "kind": "bulk numbers",
        "numbers": [
            {"name": n.name, "unit": n.unit, "value": n.value, "error": n.error, "model": value, "spread": spread}
            for n, (value, spread) in zip(result.bulk.numbers, model, strict=True)
        ],
    }


def bulk_rows(result: BulkResult) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Heads and rows: each number measured and of the model, and the residual."""
    rows = []
    for each in described_bulk(result)["numbers"]:
        away = (each["value"] - each["model"]) / each["error"]
        measured, model = (f"{plain(each[a])} ± {plain(each[b])}" for a, b in (("value", "error"), ("model", "spread")))
        rows.append(("", [escape(f"{each['name']} ({each['unit']})"), measured, model, f"{away:+.1f}"]))
    return ["", "measured", "model", "residual"], rows
