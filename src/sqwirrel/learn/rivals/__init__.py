"""Networks that tell rival models apart."""

from sqwirrel.learn.rivals.classifier import Classifier, Committee
from sqwirrel.learn.rivals.contest import Contest, Labelled

__all__ = ["Classifier", "Committee", "Contest", "Labelled"]
