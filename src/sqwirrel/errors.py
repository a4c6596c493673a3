"""The two ways a call fails: the user can fix it, or it came at the wrong time.

A message says what was wrong with the value, what was expected and, if that is not obvious, what to do.
"""

import difflib
from collections.abc import Iterable, Sequence

LONGEST = 390
"""Characters of a message; what is longer quotes something that is too long to be read."""
FEW = 5
"""Names that a message lists; of more it says how many."""


class InputError(ValueError):
    """A value, file or key given by the user cannot be used; the user can fix it.

    Its message is one line: of what it quotes, control characters are replaced and the middle may be left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))


class NothingCountedError(InputError):
    """A file of a scan that was stopped before anything was counted: one of many may be left out."""


class StateError(RuntimeError):
    """The call is right but the object is not ready for it."""


def values_for(names: Sequence[str]) -> str:
    """What is missing, in words.

    >>> values_for(["fwhm"])
    "a value for 'fwhm'"
    >>> values_for([f"K{k}" for k in range(7)])
    "values for 'K0', 'K1', 'K2', 'K3', 'K4' and 2 more"
    """
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    listed = ", ".join(f"'{name}'" for name in names[:FEW])
    return f"{'a value' if len(names) == 1 else 'values'} for {listed}{more}"


def meant(word: str, known: Iterable[str]) -> str:
    """What was meant, to end a message with; nothing if no known word is like it.

    >>> meant("stiffnes", ["stiffness", "scale"])
    "; did you mean 'stiffness'?"
    """
    known = list(known)
    near = [each for each in known if each.lower() == word.lower()] or difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _one_line(message: str) -> str:
    words = " ".join(message.split()) if not message.isprintable() else message
    clean = "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
    return clean if len(clean) <= LONGEST else f"{clean[: LONGEST * 2 // 3]} ... {clean[-LONGEST // 4 :]}"
