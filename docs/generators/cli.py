"""The command-line page: the help of every verb, as the command prints it."""

import os
from unittest import mock

import typer
from typer.testing import CliRunner

from sqwirrel import cli

WIDTH = "96"


def verbs() -> list[str]:
    """The verbs in the order of the help."""
    return list(typer.main.get_command(cli.app).commands)


def page() -> str:
    """One section a verb, and what the exit status means."""
    doc = (cli.__doc__ or "").strip().splitlines()
    sections = [_block("sqwirrel"), f"{doc[-1]}\n"]
    sections += [f"## {verb}\n\n{_block(f'sqwirrel {verb}')}" for verb in verbs()]
    return "\n".join(sections)


def _block(command: str) -> str:
    arguments = command.split()[1:]
    with mock.patch.dict(os.environ, {"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "NO_COLOR": "1"}):
        found = CliRunner().invoke(cli.app, [*arguments, "--help"], prog_name="sqwirrel")
    if found.exit_code:
        raise RuntimeError(f"{command} --help ended with status {found.exit_code}: {found.output}")
    text = "\n".join(line.rstrip() for line in found.output.strip().splitlines())
    return f"```console\n$ {command} --help\n{text}\n```\n"
