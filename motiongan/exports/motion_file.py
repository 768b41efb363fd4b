"""Export to the motion file itself: subsets, merges, other frame rates."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from motiongan.exports.selection import Export, NamedClip
from motiongan.motion.store import GENERATED_PROVENANCE, MotionWriter

# What the writer itself states about a file.
_WRITTEN = ("format", "version", "frame_rate", "up_axis", "kind", "body_model", "creator", "created", "licence")


def write_motion_file(export: Export, path: Path, on_clip: Callable[[NamedClip], None], *, force: bool) -> list[Path]:
    """Write the clips to one motion file and return its path; all of a file at its own rate reads back equal.

    Files of different kinds make a captured one, as in an import. What their attributes say differently is kept one
    after another.
    """
    kinds = {selection.kind for selection in export.selections}
    kind = kinds.pop() if len(kinds) == 1 else "captured"
    frame_rate = export.frame_rate or export.selections[0].frame_rate
    writer = MotionWriter(
        path,
        frame_rate=frame_rate,
        kind=kind,
        body_model=export.body_model,
        licence=export.licence,
        actions=dict.fromkeys(action for selection in export.selections for action in selection.actions),
        provenance=_provenance(export, kind),
        force=force,
    )
    with writer:
        for named in export.clips(usable=False):
            writer.write(named.clip)
            on_clip(named)
    return [path]


def _provenance(export: Export, kind: str) -> dict[str, Any]:
    """Attributes of the sources beyond those that every file has; of mixed kinds, nothing of a generation."""
    merged: dict[str, list[Any]] = {}
    for selection in export.selections:
        for name, value in selection.attributes.items():
            if name not in _WRITTEN and (kind == "generated" or name not in (*GENERATED_PROVENANCE, "held_out")):
                merged.setdefault(name, []).append(value)
    distinct = {name: list(dict.fromkeys(values)) for name, values in merged.items()}
    return {name: vs[0] if len(vs) == 1 else "; ".join(map(str, vs)) for name, vs in distinct.items()}
