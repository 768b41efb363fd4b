"""The action vocabulary: names <-> indices, nearest names for a misspelt one, left/right counterparts."""

import re
from collections.abc import Iterable, Sequence

from motiongan.errors import MotionganError, did_you_mean


def select_actions(wanted: str | Iterable[str], known: Sequence[str], place: str = "") -> list[str]:
    """The wanted actions: "all", "a,b,c" or names. Raises MotionganError with the nearest names for an unknown one.

    place   what the vocabulary belongs to, for the message: "runs/first/model.safetensors"
    """
    names = [name.strip() for name in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
    if names == ["all"]:
        return list(known)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, count=3) or ";"
            where = f"{place}: " if place else ""
            raise MotionganError(f"{where}unknown action `{name}`{hint} known: {', '.join(known)}")
    return list(dict.fromkeys(names))


def mirrored_action(action: str) -> str:
    """The action's name seen in a mirror: "kick_left" <-> "kick_right"; a name without a side is its own."""
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "LEFT": "RIGHT", "RIGHT": "LEFT"}
    return re.sub(
        r"(?<![a-zA-Z])(left|right|Left|Right|LEFT|RIGHT)(?![a-z])", lambda match: swap[match.group()], action
    )
