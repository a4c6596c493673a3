"""What the verbs leave in a folder: every file whole or absent, with the resolved config and the record beside it."""

from sqwirrel.config.verbs.answers import find_bonds, find_order, infer_into, simulate_into
from sqwirrel.config.verbs.contending import jury_in
from sqwirrel.config.verbs.deciding import discriminate_into, report_again
from sqwirrel.config.verbs.intervening.causes import causal_into
from sqwirrel.config.verbs.intervening.collecting import collection_into
from sqwirrel.config.verbs.learning import check_into, train_into
from sqwirrel.config.verbs.looking import look_into
from sqwirrel.config.verbs.planning import advise_into
from sqwirrel.config.verbs.reasons import Reason, explain_into
from sqwirrel.config.verbs.translating.matching import match_into

__all__ = [
    "Reason",
    "advise_into",
    "causal_into",
    "check_into",
    "collection_into",
    "discriminate_into",
    "explain_into",
    "find_bonds",
    "find_order",
    "infer_into",
    "jury_in",
    "look_into",
    "match_into",
    "report_again",
    "simulate_into",
    "train_into",
]
