"""Which model of Pr(Ca0.9Sr0.1)2Mn2O7: the evidence of each for the measured frame.

    python -m benchmarks.pcsmo_evidence --json FILE --folder DIR [--rivals NAME ...]

Goodenough, dimer and Zener polaron, Goodenough without and dimer with further couplings, on the folded frame
(`pcsmo_rivals`), errors from the scatter of its mirror images, robust. Reported for each: log evidence and its error,
deviance, what fails, constants with 95 % intervals; and Bayes factors of the best. A rival takes 10 to 15 minutes on a
core; posteriors are kept in DIR and not made again. Of a single one only the posterior is made.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import pcsmo_rivals as rivals
from benchmarks.pcsmo_frame import DATA
from benchmarks.pcsmo_rivals import told
from sqwirrel.infer import Settings, infer, store
from sqwirrel.infer.verdict import Verdict, judged
from sqwirrel.learn.strange import Jury
from sqwirrel.record import Record
from sqwirrel.spectra import Spectrum

SETTINGS = Settings(screen=64, starts=2, draws=1500, rounds=5)
"""The published constants are a start, too. Two rounds of 200 draws left 5 effective ones of up to 28 parameters."""


def main() -> None:
    """Runs the benchmark, prints the result, and writes the JSON if asked for."""
    parser = argparse.ArgumentParser(description="Evidence of the models of PCSMO.")
    parser.add_argument("--json", type=Path, help="file for the result")
    parser.add_argument("--folder", type=Path, required=True, help="where posteriors are kept")
    parser.add_argument("--rivals", nargs="+", default=rivals.HYPOTHESES, choices=rivals.HYPOTHESES, metavar="NAME")
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("pcsmo_evidence needs ../shared/data/pcsmo, which is not here: nothing was run")
    record = Record.start(seeds={"infer": SETTINGS.seed})
    weighed = evidence(options.folder, rivals.measured(), options.rivals)
    found = {"benchmark": "pcsmo_evidence", "quick": False, **weighed}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps({**found, "record": json.loads(record.to_json())}, indent=1) + "\n")


def evidence(folder: Path, data: dict[str, Spectrum], weighed: Sequence[str]) -> dict[str, Any]:
    """Posteriors of the rivals for the measured frame, and what they are worth."""
    hypotheses, posteriors = {}, {}
    for name in weighed:
        hypothesis = rivals.hypothesis(name, data)
        clock, file = time.perf_counter(), posterior_file(folder, name)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            settings = replace(SETTINGS, guesses=(rivals.published(name),))
            posterior = infer(hypothesis.simulator, hypothesis.prior, data, settings, progress=tell)
            store.save(file, posterior)
        hypotheses[name], posteriors[name] = hypothesis, store.load(file)
        told(f"{name} {time.perf_counter() - clock:.0f} s")
        told(str(posteriors[name]))
    if len(weighed) == 1:
        return {}
    verdict = judged(hypotheses, posteriors, data)
    told(str(verdict))
    return {"evidence": described(verdict), "log_bayes": factors(verdict)}


def tell(stage: str, done: int, total: int) -> None:
    """Progress to the log, once in a while."""
    if done % 10 == 0 or stage == "sampling":
        told(f"{stage} {done}/{total}")


def posterior_file(folder: Path, name: str) -> Path:
    """Where the posterior of a rival is kept."""
    return folder / "evidence" / f"{name}.h5"


def verdict(folder: Path, data: dict[str, Spectrum], jury: Jury) -> str | None:
    """What posteriors in the folder and networks say together; None where some are missing."""
    if not all(posterior_file(folder, name).exists() for name in rivals.RIVALS):
        return None
    posteriors = {name: store.load(posterior_file(folder, name)) for name in rivals.RIVALS}
    both = judged({name: rivals.hypothesis(name, data) for name in rivals.RIVALS}, posteriors, data, jury=jury)
    return both.undecided or both.best


def described(verdict: Verdict) -> dict[str, Any]:
    """Evidence and parameters of each rival."""
    return {
        name: {
            "log_evidence": [verdict.evidence[name].log, verdict.evidence[name].error],
            "probability": verdict.probability[name],
            "deviance_per_bin": verdict.posteriors[name].deviance_per_bin,
            "apart": None if name == verdict.best else verdict.apart(name),
            "abstains": verdict.posteriors[name].abstains,
            "failed": [check.name for check in verdict.posteriors[name].checks if not check.passed],
            "seconds": verdict.posteriors[name].seconds,
            "parameters": {
                row.name: [row.median, *row.interval95]
                for row in verdict.posteriors[name].summary()
                if row.unit == "meV"
            },
        }
        for name in verdict.ranked
    }


def factors(verdict: Verdict) -> dict[str, list[float]]:
    """Logarithms of Bayes factors of the best, with their errors."""
    return {f"{verdict.best} - {name}": list(verdict.log_bayes(name)) for name in verdict.ranked[1:]}


if __name__ == "__main__":
    main()
