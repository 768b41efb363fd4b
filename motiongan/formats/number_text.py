"""Numbers written as text: long columns read at numpy's speed, and the place of the first one that is not a number."""

import re
import warnings

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from motiongan.errors import MotionganError

# What old C runtimes print for infinities and not-a-number: "-1.#IND", "1.#QNAN00"; numpy reads only "nan" and "inf".
_WINDOWS_NAN = re.compile(rb"[+-]?1\.#(?:IND|QNAN|SNAN|INF)\d*")


def parse_numbers(text: bytes) -> Float64[ndarray, "numbers"] | None:
    """All whitespace-separated numbers of a text, as float64; None where something in it is not a number."""
    if not text.strip():
        return np.zeros(0)
    if b"#" in text:
        text = _WINDOWS_NAN.sub(b"nan", text)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # numpy 1.26 only warns about text it stops at
        try:
            return np.fromstring(text, dtype=np.float64, sep=" ")
        except (ValueError, DeprecationWarning):
            return None


def not_a_number(text: bytes, name: str, line: int) -> MotionganError:
    """The error that names the first word of `text` that is not a number; `line` is the number of its first line."""
    for number, words in enumerate(text.splitlines(), start=line):
        for word in words.split():
            if parse_numbers(word) is None:
                shown = word[:40].decode("utf-8", errors="replace")
                return MotionganError(
                    f"{name}:{number}: `{shown}` is not a number; the file is damaged, fetch it again"
                )
    return MotionganError(f"{name}:{line}: numbers expected; the file is damaged, fetch it again")
