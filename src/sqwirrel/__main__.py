"""python -m sqwirrel: the command line."""

from sqwirrel.cli import main

main()
