"""Networks that tell rival models apart."""

from sqwirrel.learn.rivals.classifier import Classifier, Committee
from sqwirrel.learn.rivals.contest import Contest, Labelled
from sqwirrel.learn.rivals.kept import load_committee, save_committee

__all__ = ["Classifier", "Committee", "Contest", "Labelled", "load_committee", "save_committee"]
