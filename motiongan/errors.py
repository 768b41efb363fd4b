"""The one exception that reaches the user as a line instead of a traceback."""


class MotionganError(Exception):
    """A mistake the user can mend, told in one line: file, place in it, what is wrong, how to mend it.

    exit_code   the command's exit status: 2 for bad input, 1 where the machine failed (disk full)
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code
