"""The one exception that reaches the user as a line instead of a traceback, and the hint for a misspelt word."""

from collections.abc import Iterable


class MotionganError(Exception):
    """A mistake the user can mend, told in one line: file, place in it, what is wrong, how to mend it.

    exit_code   the command's exit status: 2 for bad input, 1 where the machine failed (disk full)
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def did_you_mean(word: str, known: Iterable[str], count: int = 1) -> str:
    """`; did you mean ...?` with the nearest known words, or an empty string where none is near."""
    import difflib

    return meant(difflib.get_close_matches(word, list(known), n=count, cutoff=0.6 if count == 1 else 0.5))


def meant(names: Iterable[str]) -> str:
    """`; did you mean a or b?`, or an empty string for no names."""
    listed = " or ".join(f"`{name}`" for name in names)
    return f"; did you mean {listed}?" if listed else ""
