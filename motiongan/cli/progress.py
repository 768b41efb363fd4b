"""The progress bar of the verbs that write clips."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

    from motiongan.motion.clip import Clip


def clip_progress(clips: "Iterable[Clip]", total: int, *, shown_from: int = 1) -> "tqdm[Clip]":
    """The clips behind a bar on stderr, from `shown_from` clips on; use as a context manager.

    In a log or a pipe it prints a line every five seconds.
    """
    from tqdm import tqdm

    interval = 0.1 if sys.stderr.isatty() else 5.0
    return tqdm(clips, total=total, unit="clip", mininterval=interval, disable=total < shown_from)
