"""The command line: one command a verb, no logic. Results go to stdout, progress and complaints to stderr.

Exit status: 0 done, 1 a check of the result failed, 2 the input was wrong, 3 the page was not drawn, 130 interrupted.
"""

from pathlib import Path
from typing import Annotated

import typer

from sqwirrel.cli import doctor as examination
from sqwirrel.cli import screen
from sqwirrel.config import load
from sqwirrel.config.verbs import (
    advise_into,
    causal_into,
    check_into,
    collection_into,
    discriminate_into,
    explain_into,
    find_bonds,
    find_order,
    infer_into,
    look_into,
    match_into,
    report_again,
    simulate_into,
    train_into,
)
from sqwirrel.report import figures

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Parameters of a magnetic Hamiltonian or of the springs of a crystal, with error bars, from measured neutron "
    "spectra of its magnons or phonons.",
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="What to do, in TOML.")]
Changes = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key first; repeatable.")
]
Folder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where results go; by default named after the config.")
]


@app.command("list", epilog="Example: sqwirrel list")
def list_() -> None:
    """Models of spins and of phonons, file formats and kinds of instrument that are known."""
    screen.print_families()


@app.command(epilog="Example: sqwirrel show demo/measured/spectrum.h5 --out map.png")
def show(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A spectrum or a table of peaks in any format that is known, or CONFIG.toml: its data."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PNG", help="Picture to draw; by default FILE.png here.")
    ] = None,
) -> None:
    """What a file of a spectrum or of peaks holds, in numbers and as a picture."""
    with screen.complaints():
        (found, more), picture = look_into(file), out or Path(f"{file.stem}.png")
        screen.print_found(file, found, more)
        figures.save(figures.picture(found, file.name), picture)
        screen.say(f"picture: {picture}")


@app.command(epilog="Example: sqwirrel simulate examples/rb2mnf4_truth.toml --out demo/measured")
def simulate(config: ConfigFile, changes: Changes = None, out: Folder = None) -> None:
    """A spectrum of magnons or phonons from a model, as the instrument would see it."""
    folder = out or Path(config.stem)
    with screen.complaints(folder):
        spectrum = simulate_into(folder, load(config, changes or ()))
        screen.print_found(folder / "spectrum.h5", spectrum)


@app.command(epilog="Example: sqwirrel infer examples/rb2mnf4.toml --out demo/result")
def infer(
    config: ConfigFile,
    changes: Changes = None,
    out: Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")] = False,
) -> None:
    """Parameters with error bars from measured magnons (spectra, peaks) or phonons (spectra), checks, and a report."""
    folder = out or Path(config.stem)
    with screen.complaints(folder):
        with screen.progress() as tell:
            posterior, draw = infer_into(folder, load(config, changes or ()), tell)
        (screen.print_json if as_json else screen.print_answer)(posterior)
        with screen.drawing(folder):
            page = draw()
        if not as_json:
            screen.print_page(page)
    raise typer.Exit(screen.status(posterior))


@app.command(epilog="Example: sqwirrel train examples/rb2mnf4.toml --out network --set train.simulations=2000")
def train(config: ConfigFile, changes: Changes = None, out: Folder = None) -> None:
    """A network that says where to look, from simulations; [infer] estimator = "DIR" uses it. With [rivals], networks
    that tell these apart, for [discriminate] estimator = "DIR". With [match], a translator, for [match] estimator.
    """
    folder = out or Path(f"{config.stem}-network")
    with screen.complaints(folder, resumes=True):
        with screen.progress() as tell:
            histories = train_into(folder, load(config, changes or ()), tell)
        for history in histories:
            screen.say(f"loss {min(history.losses):.3f} at step {history.best}, {history.seconds:.0f} s")
        screen.say(f"network: {folder}")


@app.command(epilog="Example: sqwirrel check examples/rb2mnf4.toml --out checked --set check.n=200 (after make demo)")
def check(config: ConfigFile, changes: Changes = None, out: Folder = None) -> None:
    """Whether intervals hold: simulated measurements like this one with known truths, each of them inferred."""
    folder = out or Path(f"{config.stem}-check")
    with screen.complaints(folder, resumes=True):
        with screen.progress() as tell:
            found = check_into(folder, load(config, changes or ()), tell)
        screen.say(str(found))
        screen.say(f"picture: {folder / 'calibration.png'}")


@app.command(epilog="Example: sqwirrel report demo/result")
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that infer or discriminate has left.")],
) -> None:
    """The report of a folder that infer or discriminate has left, made again."""
    with screen.complaints(), screen.drawing(folder):
        screen.print_page(report_again(folder))


@app.command(epilog="Example: sqwirrel advise examples/rb2mnf4.toml --out demo/advice")
def advise(config: ConfigFile, changes: Changes = None, out: Folder = None) -> None:
    """Where to measure next, for smaller errors or to tell models apart, from what infer has left."""
    folder = out or Path(f"{config.stem}-advice")
    with screen.complaints(folder):
        screen.say(str(advise_into(folder, load(config, changes or ()))))
        screen.say(f"picture: {folder / 'advice.png'}")


@app.command(epilog="Example: sqwirrel discriminate examples/rb2mnf4.toml --out demo/verdict")
def discriminate(config: ConfigFile, changes: Changes = None, out: Folder = None) -> None:
    """Which of several models made the data, by evidence, and whether that can be said."""
    folder = out or Path(f"{config.stem}-verdict")
    with screen.complaints(folder, resumes=True):
        with screen.progress() as tell:
            verdict, draw = discriminate_into(folder, load(config, changes or ()), tell)
        screen.say(str(verdict))
        with screen.drawing(folder):
            page = draw()
        screen.say(f"report: {page}")
    raise typer.Exit(1 if verdict.undecided else 0)


@app.command(epilog="Example: sqwirrel match my.toml --set match.estimator=translator (after train with [match])")
def match(config: ConfigFile, changes: Changes = None, out: Folder = None) -> None:
    """A measured map as it might have been simulated, or the reverse, by a translator; and what that has changed."""
    folder = out or Path(f"{config.stem}-matched")
    with screen.complaints(folder):
        found = match_into(folder, load(config, changes or ()))
        screen.say(str(found))
        screen.say(f"picture: {folder / 'matched.png'}")
    raise typer.Exit(1 if found.doubts else 0)


@app.command(epilog="Example: sqwirrel explain demo/result --out demo/reasons")
def explain(
    result: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that infer has left.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where maps go; by default 'explained' in that folder.")
    ] = None,
) -> None:
    """Which bins an answer rests on: what each has told about every parameter of the model."""
    folder = out or result / "explained"
    with screen.complaints(folder):
        screen.print_reasons(explain_into(folder, result))
        screen.say(f"maps: {folder}")


@app.command(epilog="Example: sqwirrel causal demo/result --out demo/causes")
def causal(
    source: Annotated[
        Path, typer.Argument(metavar="CONFIG.toml|DIR", help="A config, or a folder that infer has left.")
    ],
    changes: Changes = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Where results go; by default named after the config, or 'causes' in the folder.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the map as one JSON object.")] = False,
) -> None:
    """Which parameter moves which part of a spectrum, by interventions on the simulator, and which part fixes it.

    Of a table in which nobody intervened: sqwirrel collection.
    """
    folder = out or (source / "causes" if source.is_dir() else Path(f"{source.stem}-causes"))
    with screen.complaints(folder, resumes=True):
        with screen.progress() as tell:
            told, draw = causal_into(folder, source, changes or (), tell)
            with screen.drawing(folder):
                draw()
        (screen.print_causes_json if as_json else screen.print_causes)(told)
        if not as_json:
            screen.say(f"page: {folder / 'causal.html'}")


@app.command(epilog="Example: sqwirrel collection materials.csv --tiers 'radius > angle,J > TN' --effect TN")
def collection(
    table: Annotated[Path, typer.Argument(metavar="TABLE.csv", help="Numbers in columns; the first line names them.")],
    tiers: Annotated[
        str,
        typer.Option(
            "--tiers", metavar="'A,B > C > D'", help="Names of columns, those that may be causes of others first."
        ),
    ],
    effects: Annotated[
        list[str] | None, typer.Option("--effect", metavar="NAME", help="Only causes of this column; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where results go; by default named after the table.")
    ] = None,
    search: Annotated[bool, typer.Option(help="Ask PC and GES, too, if causal-learn is installed.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the edges as one JSON object.")] = False,
) -> None:
    """What a table that somebody else made says of causes, and what it cannot say: nobody intervened."""
    folder = out or Path(f"{table.stem}-collection")
    with screen.complaints(folder):
        with screen.progress() as tell:
            told = collection_into(folder, table, tiers, effects or (), tell, search=search)
        (screen.print_causes_json if as_json else screen.print_causes)(told)
        if not as_json:
            screen.say(f"page: {folder / 'collection.html'}")


@app.command(epilog="Example: sqwirrel order la2nio4 --set J2=15")
def order(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model of spins: of the library, a model file.toml, or CONFIG.toml."),
    ],
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Give a parameter first, meV; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")] = False,
) -> None:
    """Of spins: whether a model's order is a minimum of its energy, and the order that is lowest, to paste."""
    with screen.complaints():
        orders = find_order(model, changes or ())
        (screen.print_orders_json if as_json else screen.print_orders)(orders)


@app.command(epilog="Example: sqwirrel bonds yb2ti2o7 --distance 4")
def bonds(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model of the library, a model file.toml, a CONFIG.toml, or a structure, .cif or .mcif.",
        ),
    ],
    distance: Annotated[
        float | None,
        typer.Option("--distance", help="Longest bond, angstrom; by default all that have springs, 6 of spins."),
    ] = None,
    sites: Annotated[
        list[str] | None, typer.Option("--sites", metavar="LABEL", help="Only these sites; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")] = False,
) -> None:
    """What symmetry allows: exchange or springs on bonds by their names, anisotropy on sites."""
    with screen.complaints():
        found = find_bonds(model, distance, sites or ())
        (screen.print_bonds_json if as_json else screen.print_bonds)(found)


@app.command(epilog="Example: sqwirrel doctor")
def doctor() -> None:
    """What is installed, what is missing, and what is slow here."""
    findings = examination.examine()
    screen.print_findings(findings)
    raise typer.Exit(0 if all(finding.fine for finding in findings) else 1)


def main() -> None:
    """Entry point of the command `sqwirrel`."""
    app()
