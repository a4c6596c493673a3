"""Changes since the last release: the fragments that a release will collect."""

from pathlib import Path


def page(folder: Path) -> str:
    """One list entry a fragment."""
    texts = [path.read_text(encoding="utf-8").strip() for path in sorted(folder.glob("*.md"))]
    return "\n".join(f"- {' '.join(text.split())}" for text in texts) + "\n" if texts else "Nothing.\n"
