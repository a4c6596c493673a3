"""TOML files to objects and back: what a run is asked to do, and what it leaves."""

from sqwirrel.config.build import Study, study
from sqwirrel.config.instrument import kinds
from sqwirrel.config.sections import Config
from sqwirrel.config.toml import dumps, load

__all__ = ["Config", "Study", "dumps", "kinds", "load", "study"]
