"""The index of decisions: every record in the folder, by date, with its title."""

from pathlib import Path


def page(folder: Path) -> str:
    """A list of links, and the same as a hidden table of contents."""
    found = records(folder)
    lines = [f"- [{title(path)}]({path.name})" for path in found]
    tree = ["```{toctree}", ":hidden:", "", *(path.stem for path in found), "```"]
    return "\n".join([*lines, "", *tree, ""])


def records(folder: Path) -> list[Path]:
    """The records, oldest first."""
    return sorted(path for path in folder.glob("*.md") if path.name != "index.md")


def title(path: Path) -> str:
    """The first heading of a record."""
    return path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").strip()
