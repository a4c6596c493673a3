"""The frame of a page and what its sections are made of: tables, lists, figures, remarks, references."""

import base64
import io
import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from sqwirrel.report import figures

Content = dict[str, Any]


def framed(title: str, verdict: str, sections: Iterable[str], *, passed: bool) -> str:
    """A page: the verdict first, green or red, then its sections."""
    template = Template(resources.files("sqwirrel.report.pages").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(title),
        verdict=typeset(escape(verdict)),
        state="passed" if passed else "failed",
        sections="".join(sections),
    )


def section(name: str, title: str, content: str) -> str:
    """A section with its heading."""
    return f'<section id="{name}"><h2>{title}</h2>{content}</section>\n'


def wide(content: str) -> str:
    """What may be wider than the page."""
    return f'<div class="wide">{content}</div>'


def image(figure: Figure, words: str) -> str:
    """A figure inside the page; its lines and letters stay sharp, its maps are pixels."""
    buffer = io.BytesIO()
    with mpl.rc_context(figures.STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{escape(words)}" src="data:image/svg+xml;base64,{data}"></figure>'


def note(text: str) -> str:
    """A remark below a figure or a table."""
    return f'<p class="note">{escape(text)}</p>'


def pictures(name: str, title: str, parts: Sequence[str], about: str) -> str:
    """A section of figures with a remark below; nothing where there are none."""
    if not parts:
        return ""
    return section(name, title, f'<div class="{name}">{"".join(parts)}</div>{note(about)}')


def record(record: Content) -> str:
    """When, where and from what something was made."""
    files = "<br>".join(f"{escape(name)} <code>{sha}</code>" for name, sha in record["files"].items())
    listed = {key: ", ".join(f"{name} {value}" for name, value in record[key].items()) for key in ("versions", "seeds")}
    seconds = ", ".join(f"{stage} {value:.1f} s" for stage, value in record["seconds"].items())
    rows = {"made": record["created"], "on": record["machine"], "files": files, **listed, "time": seconds}
    return definitions(rows)


def papers(every: Iterable[str]) -> str:
    """References as a list."""
    return "<ol>" + "".join(f"<li>{linked(paper)}</li>" for paper in every) + "</ol>"


def definitions(rows: dict[str, str]) -> str:
    """Words and what they are, in two columns."""
    return "<dl>" + "".join(f"<dt>{key}</dt><dd>{value or '–'}</dd>" for key, value in rows.items()) + "</dl>"


def table(heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> str:
    """A table; a cell that starts with '~' is running text, one that starts with '=' is a class and its own word."""
    head = "".join(f"<th>{word}</th>" for word in heads)
    body = "".join(f'<tr class="{kind}">{"".join(map(_cell, cells))}</tr>' for kind, cells in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    match text[:1]:
        case "~":
            return f'<td class="text">{text[1:]}</td>'
        case "=":
            return f'<td class="{text[1:]}">{text[1:]}</td>'
        case _:
            return f"<td>{typeset(text)}</td>"


def typeset(text: str) -> str:
    """Numbers with a minus that is as long as a plus."""
    return re.sub(r"(?<![A-Za-z0-9.])-(?=[\d.])|(?<=\de)-(?=\d)", "−", text)


def linked(paper: str) -> str:
    """A reference whose DOI or arXiv number is a link."""
    text = re.sub(r"doi:(\S+?)(?=[,;]?(\s|$))", r'<a href="https://doi.org/\1">doi:\1</a>', escape(paper))
    return re.sub(r"arXiv:(\d{4}\.\d{4,5})", r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', text)
