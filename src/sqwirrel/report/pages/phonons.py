"""What a page says of a crystal with springs: its branches, and its springs bond by bond."""

import json
from html import escape
from pathlib import Path

import torch

from sqwirrel.model import symmetry
from sqwirrel.report import figures
from sqwirrel.report.numbers import plain, with_error
from sqwirrel.report.pages.markup import definitions, image, note, section, table, wide
from sqwirrel.report.phonons import springs
from sqwirrel.report.phonons.dispersion import Dispersion, as_mapping
from sqwirrel.report.phonons.figure import branches
from sqwirrel.report.result import Whole
from sqwirrel.whole import put, put_text

PICTURE, DATA = "dispersion.png", "dispersion.json"
DRAWS = 400
"""Posterior draws behind stiffnesses."""
ABOUT_SPRINGS = f"""{springs.LEGEND} Along: how stiff the first bond is along itself; across: the mean of both
directions across; with half of the 68 % interval over posterior draws."""


def keep(folder: Path, found: Dispersion | None) -> None:
    """Writes the branches as a picture and as data; of spins there are none, and those of an earlier answer go."""
    if found is None:
        for name in (PICTURE, DATA):
            (folder / name).unlink(missing_ok=True)
        return
    put_text(folder / DATA, json.dumps(as_mapping(found), ensure_ascii=False, allow_nan=False) + "\n")
    put(folder / PICTURE, lambda part: figures.save(branches(found), part))


def sections(whole: Whole, found: Dispersion | None) -> str:
    """Nothing where the model has spins."""
    if found is None:
        return ""
    shown = f'<div class="lines">{image(branches(found), "Branches along the standard path")}</div>'
    return section("phonons", "Phonons", shown + note(_about(found))) + section(
        "springs", "Crystal and springs", _crystal(found) + wide(_springs(whole, found)) + note(ABOUT_SPRINGS)
    )


def _about(found: Dispersion) -> str:
    narrow, wider = (plain(width) for width in found.widths)
    misfit = f"; dotted: widened by the misfit, {wider} meV" if found.widened is not None else ""
    if found.astray is not None:
        share = f"{100 * found.astray:.1f} % of the energy"
        misfit += f"; palest: with {share}, which holds nine in ten errors of the best such springs in other metals"
    known = (
        f" Dashed red: with the values that the model has by itself, {found.origin}." if found.own is not None else ""
    )
    return (
        f"{found.doubt} Energies along the standard path of the crystal over {found.draws} posterior draws: median, "
        f"68 and 90 %. The 90 % bands are {narrow} meV wide on average{misfit}. "
        f"An imaginary energy is drawn below zero.{known} {_about_states(found)}The same as data: {DATA}."
    )


def _about_states(found: Dispersion) -> str:
    states = found.states
    if states is None:
        return "No density of states: in every draw more than 1 % of the modes have imaginary energies. "
    return (
        f"Right: density of states over {states.draws} draws, {plain(states.fwhm)} meV broad; it integrates to one. "
        + "Orange: as neutrons see it, atoms weighed by cross-section over mass. " * states.differ
        + "Imaginary energies are left out of it. "
    )


def _crystal(found: Dispersion) -> str:
    model = found.model
    cell = model.lattice
    lengths, angles = (cell.a, cell.b, cell.c), (cell.alpha, cell.beta, cell.gamma)
    places = zip(model.elements, model.positions @ model.primitive, strict=True)
    return definitions(
        {
            "cell": f"{', '.join(f'{x:.5g}' for x in lengths)} Å; {', '.join(f'{x:.5g}' for x in angles)}°",
            "atoms": escape("; ".join(f"{element} at {symmetry.spell(at + 0.0)}" for element, at in places)),
            "that repeats": escape(", ".join(symmetry.spell(row + 0.0) for row in model.primitive)),
        }
    )


def _springs(whole: Whole, found: Dispersion) -> str:
    names = found.model.names
    theta = whole.of_model(whole.posterior.sample(DRAWS, seed=0))
    rows = []
    for each in springs.look(found.model).orbits:
        if each.is_factor:
            rows.append(("", [springs.what(each), f"~{springs.bond(each)}", "–", "–", "–", "–", "–"]))
            continue
        stiff = springs.along_and_across(each, theta[:, [names.index(name) for name in each.names]])
        cells = [f"{float(each.step.norm()):.4f}", springs.neighbours(each), symmetry.spell(each.step + 0.0)]
        told = [_with_error(column) for column in stiff]
        rows.append(("", [each.name, *map(escape, cells), f"<code>{escape(each.pattern)}</code>", *told]))
    heads = ["bond", "length (Å)", "", "first one (Å)", "its matrix", "along (N/m)", "across (N/m)"]
    return table(heads, rows)


def _with_error(column: torch.Tensor) -> str:
    low, middle, high = torch.quantile(column, column.new_tensor([0.16, 0.5, 0.84])).tolist()
    return with_error(middle, (high - low) / 2)
