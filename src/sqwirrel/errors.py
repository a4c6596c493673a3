"""The two ways a call fails: the user can fix it, or it came at the wrong time.

A message says what was wrong with the value, what was expected and, if that is not obvious, what to do.
"""


class InputError(ValueError):
    """A value, file or key given by the user cannot be used; the user can fix it."""


class StateError(RuntimeError):
    """The call is right but the object is not ready for it."""
