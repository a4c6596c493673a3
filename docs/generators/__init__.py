"""Parts of the pages that are made at build time, so that they say what code, tests and results say."""

from pathlib import Path

from generators import api, cli, config, decisions, news, phonons, results, targets, validation

REPOSITORY = Path(__file__).parents[2]


def write_all(folder: Path) -> None:
    """Writes every generated part into `folder`; the pages include them."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "cli.md": cli.page(),
        "config.md": config.page(),
        "api.md": api.page(),
        "decisions.md": decisions.page(REPOSITORY / "docs" / "decisions"),
        "phonons.md": phonons.page(),
        "news.md": news.page(REPOSITORY / "news"),
        "validation.md": validation.page(REPOSITORY),
        "targets.md": targets.text(REPOSITORY / "benchmarks" / "results"),
        "results.md": results.page(REPOSITORY / "benchmarks" / "results", folder),
    }
    for name, text in parts.items():
        (folder / name).write_text(text, encoding="utf-8")
