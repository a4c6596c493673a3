"""The package's docstrings are plain text with `code` in single backticks; autodoc wants reStructuredText."""

import re


def as_restructured_text(app, what, name, obj, options, lines) -> None:  # noqa: ARG001 (the signature is autodoc's)
    """Rewrites the lines of a docstring in place: indented blocks are literal, |Q| and x* mean themselves."""
    out: list[str] = []
    doctest = literal = False
    for line in lines:
        if not line.strip():
            doctest = False
            out.append("")
            continue
        doctest = doctest or line.startswith(">>>")
        indented = line.startswith("    ") and not doctest
        if indented and not literal:
            out.extend(["", "::", ""])
        elif literal and not indented:
            out.append("")
        literal = indented
        out.append(line if doctest or indented else _escaped(line))
    lines[:] = out


def _escaped(line: str) -> str:
    parts = re.split(r"(`+[^`]*`+)", line)
    for k, part in enumerate(parts):
        parts[k] = f"``{part.strip('`')}``" if k % 2 else re.sub(r"([\\|*_])", r"\\\1", part)
    return "".join(parts)
