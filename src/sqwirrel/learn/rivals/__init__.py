"""Networks that tell rival models apart."""

from sqwirrel.learn.rivals.classifier import Classifier, Committee
from sqwirrel.learn.rivals.contest import Contest, Labelled
from sqwirrel.learn.rivals.jury import Jury, Opinion

__all__ = ["Classifier", "Committee", "Contest", "Jury", "Labelled", "Opinion"]
