"""The two ways a call fails: the user can fix it, or it came at the wrong time.

A message says what was wrong with the value, what was expected and, if that is not obvious, what to do.
"""

LONGEST = 390
"""Characters of a message; what is longer quotes something that is too long to be read."""


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


def _one_line(message: str) -> str:
    words = " ".join(message.split()) if not message.isprintable() else message
    clean = "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
    return clean if len(clean) <= LONGEST else f"{clean[: LONGEST * 2 // 3]} ... {clean[-LONGEST // 4 :]}"
