"""What the commands print: tables for people, one JSON object for machines, complaints in one sentence."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sqwirrel.cli.doctor import Finding
from sqwirrel.config import kinds
from sqwirrel.config.instrument import first_sentence
from sqwirrel.config.verbs import Reason
from sqwirrel.errors import InputError
from sqwirrel.infer import Posterior
from sqwirrel.model import library
from sqwirrel.model.phonon import library as phonons
from sqwirrel.model.phonon.files import FORMATS
from sqwirrel.model.phonon.files.crystal import NAME
from sqwirrel.report import bonds, order
from sqwirrel.report.bonds import Bonds
from sqwirrel.report.causal.collected.content import CollectionTold
from sqwirrel.report.causal.told import Told
from sqwirrel.report.content import answer, described, described_peaks, few_draws, in_words, parameter_rows
from sqwirrel.report.numbers import plain
from sqwirrel.report.order import Orders
from sqwirrel.report.pages.phonons import DATA, PICTURE
from sqwirrel.report.phonons import springs
from sqwirrel.report.phonons.springs import SpringBonds
from sqwirrel.spectra import Peaks, Spectrum
from sqwirrel.spectra.readers import ASKING, READERS

EVERY = 10.0
"""Seconds between two lines of one stage in a log."""


@contextmanager
def complaints(folder: Path | None = None, *, resumes: bool = False) -> Iterator[None]:
    """Wrong input ends with one message and status 2, Ctrl-C with what was finished in `folder` and status 130.

    `resumes` says that the same command would go on with that.
    """
    try:
        yield
    except InputError as error:
        typer.echo(f"sqwirrel: {error}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        typer.echo(f"sqwirrel: {error.filename or 'a file'}: {error.strerror or error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        again = "; run the same again to go on" if resumes else ""
        typer.echo(f"sqwirrel: interrupted; {_finished(folder)}{again}", err=True)
        raise typer.Exit(130) from None


def _finished(folder: Path | None) -> str:
    found = folder.iterdir() if folder and folder.is_dir() else ()
    names = sorted(path.name for path in found if not path.is_dir() or any(path.glob("posterior*")) or _is_stored(path))
    return f"finished and kept in {folder}: {', '.join(names)}" if names else "nothing was finished"


def _is_stored(folder: Path) -> bool:
    """Whether a folder has what was simulated or trained; that of an inference counts once it has an answer."""
    return not (folder / "inputs.txt").exists() and any(folder.iterdir())


@contextmanager
def drawing(folder: Path) -> Iterator[None]:
    """A page that cannot be drawn, for whatever reason, ends with one sentence and status 3: the answer stands."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        typer.echo(
            f"sqwirrel: the answer is kept in {folder}, but its page could not be drawn: {_reason(error)}; once that "
            f"is mended, draw it with: sqwirrel report {folder}",
            err=True,
        )
        raise typer.Exit(3) from None


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}, {' '.join(str(error).split()) or 'without a word why'}"


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for each stage that is told; lines where stderr is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    stages: dict[str, TaskID] = {}
    with Progress(*columns, console=console, transient=True) as bars:

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in stages:
                for known in stages.values():
                    bars.stop_task(known)
                stages[stage] = bars.add_task(stage, total=total)
            bars.update(stages[stage], completed=done, total=total)

        yield tell


class _Lines:
    """A line on stderr for each new stage, and within one at most one every 10 seconds."""

    def __init__(self) -> None:
        self.stage, self.said = "", 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self.stage or now - self.said >= EVERY:
            share = f" {done}/{total}" if total > 1 else ""
            typer.echo(f"{time.strftime('%H:%M')} {stage}{share}", err=True)
            self.stage, self.said = stage, now


def print_answer(posterior: Posterior) -> None:
    """Failed checks first, then the parameters."""
    failed = [check for check in posterior.checks if not check.passed]
    for check in failed:
        say(f"FAILED {check.name} = {plain(check.value)}: {check.meaning}")
    if posterior.abstains:
        say("No answer: the model does not describe these data. What follows is the best that it can do.")
    if few := few_draws(posterior):
        say(few)
    rows = [in_words(row) for row in parameter_rows(posterior)]
    keys = ("name", "value", "interval68", *(("widening",) if posterior.misfits else ()), "limit")
    heads = ("", "median", "68 %", *(("misfit",) if posterior.misfits else ()), "limit")
    _print_table(heads, [[row[key] for key in keys] for row in rows])
    if posterior.misfits and not posterior.abstains:
        say(f"{MISSED} {WIDER if posterior.tells_misfit else UNTOLD}")
    passed, deviance = len(posterior.checks) - len(failed), plain(posterior.deviance_per_bin)
    say(f"{passed} of {len(posterior.checks)} checks passed; deviance per bin {deviance}; {posterior.seconds:.0f} s")


def status(posterior: Posterior) -> int:
    """Exit status of an answer: 0, 1 if a check failed, 130 if Ctrl-C left it with fewer draws than asked for."""
    failed = {check.name for check in posterior.checks if not check.passed}
    return 130 if "complete" in failed else 1 if failed else 0


def print_page(page: Path) -> None:
    """Where the page is, and of a crystal with springs its branches."""
    say(f"report: {page}")
    if (picture := page.with_name(PICTURE)).is_file():
        say(f"dispersion: {picture}, {DATA}")


def print_json(posterior: Posterior) -> None:
    """The answer as one object."""
    typer.echo(json.dumps(answer(posterior), indent=2, allow_nan=False))


def print_found(file: Path, found: Spectrum | Peaks, more: Mapping[str, object] | None = None) -> None:
    """What was understood of a spectrum or of a table of peaks, and what more is known of it."""
    said = {**(described_peaks(found) if isinstance(found, Peaks) else described(found)), **(more or {})}
    _print_table(("", str(file)), [(name.replace("_", " "), _in_words(name, value)) for name, value in said.items()])


def print_reasons(reasons: Sequence[Reason]) -> None:
    """Where each spectrum tells of each parameter."""
    heads = ("", "from", "share", "half of it in", "at energies")
    rows = [
        (
            each.name,
            each.label or "the spectrum",
            f"{100 * each.share:.0f} %",
            f"{each.half} bins",
            f"{each.energies[0]:.4g} to {each.energies[1]:.4g} meV",
        )
        for each in reasons
    ]
    _print_table(heads, rows)


def print_causes(told: Told | CollectionTold) -> None:
    """What moves what, as tables; what was not tested is said last."""
    tables, words = told.printed
    for heads, rows in tables:
        _print_table(heads, rows)
    say(words)


def print_causes_json(told: Told | CollectionTold) -> None:
    """The same as one object."""
    typer.echo(json.dumps(told.mapping(), indent=2, allow_nan=False))


def print_orders(orders: Orders) -> None:
    """Energies, what follows from them, and an [order] table."""
    values = zip(orders.model.names, orders.theta[0].tolist(), strict=True)
    say(f"{orders.model.name}: {', '.join(f'{name} = {value:g}' for name, value in values)} meV\n")
    _print_table(("", "meV per ion", ""), order.rows(orders))
    for sentence in order.sentences(orders):
        say(sentence)
    say(f"\n{orders.best.to_toml()}")


def print_orders_json(orders: Orders) -> None:
    """The same as one object."""
    typer.echo(json.dumps(order.as_mapping(orders), indent=2, allow_nan=False))


def print_bonds(found: Bonds | SpringBonds) -> None:
    """What symmetry allows on every site and bond, a line each, not wrapped."""
    rows, legend = (
        (springs.rows(found), springs.legend(found))
        if isinstance(found, SpringBonds)
        else (bonds.rows(found), bonds.legend(found))
    )
    for what, value in rows:
        say(f"{what:20}{value}")
    say(f"\n{legend}")


def print_bonds_json(found: Bonds | SpringBonds) -> None:
    """The same as one object."""
    listed = springs.as_mapping(found) if isinstance(found, SpringBonds) else bonds.as_mapping(found)
    typer.echo(json.dumps(listed, indent=2, allow_nan=False))


def print_families() -> None:
    """Models, readers and kinds of instrument, one line each."""
    models = [library.load(name) for name in library.names()]
    _print_table(("model of spins", "", "parameters"), [(m.name, m.title, ", ".join(m.names)) for m in models])
    crystals = [phonons.load(name) for name in phonons.by_temperature()]
    _print_table(("model of phonons", "", "parameters"), [(m.name, m.title, _few(m.names)) for m in crystals])
    computed = [(name, first_sentence(reader), NAME) for name, reader in FORMATS.items()]
    _print_table(("force constants", "", "parameter"), computed)
    _print_table(("reader", ""), [(name, first_sentence(reader)) for name, reader in {**READERS, **ASKING}.items()])
    _print_table(("instrument", "kind", ""), kinds())


def _few(names: Sequence[str]) -> str:
    """Names, or the first and the last of many."""
    return ", ".join(names) if len(names) < MANY else f"{names[0]}, ..., {names[-1]}"


def print_findings(findings: Iterable[Finding]) -> None:
    """Each finding, the ones that need attention marked."""
    _print_table(("", "", ""), [(each.name, each.value, "" if each.fine else each.advice) for each in findings])


def say(text: str) -> None:
    """One line to stdout."""
    typer.echo(text)


def _print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*heads, box=None, pad_edge=False, show_header=any(heads), header_style="bold")
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console()
    console.print(table)
    console.print()


MISSED = "The model misses something in the data: intervals are those of counting and do not hold the misfit."
UNTOLD = "How much wider residuals make them is not known: that takes more bins for so many parameters (rebin less)."
WIDER = "The column misfit says how many times wider residuals make each; what shifts all bins alike is not in it."
MANY = 6
"""Parameters of which only the first and the last are listed."""
UNITS = {
    "energy_range": " meV",
    "error_range": " meV",
    "temperature": " K",
    "incident_energy": " meV",
    "final_energy": " meV",
    "field": " T",
}


def _in_words(name: str, value: object) -> str:
    match value:
        case None:
            return "not in the file"
        case list() if name == "corners":
            return " → ".join(f"({corner})" for corner in value)
        case list() if value and isinstance(value[0], list):
            return ", ".join(f"({', '.join(f'{x:.4g}' for x in row)})" for row in value)
        case list() if name.endswith("range"):
            return f"{value[0]:.4g} to {value[1]:.4g}{UNITS.get(name, ' 1/angstrom')}"
        case list():
            return (" x " if name == "bins" else ", ").join(f"{x:g}" for x in value) + UNITS.get(name, "")
        case float():
            return f"{value:g}{UNITS.get(name, '')}"
        case _:
            return str(value)
