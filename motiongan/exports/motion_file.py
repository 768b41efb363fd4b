"""Export to the motion file itself: subsets, merges, other frame rates."""

from collections.abc import Callable
from pathlib import Path

from motiongan.exports.selection import Export, NamedClip
from motiongan.motion.provenance import merged_provenance
from motiongan.motion.store import MotionWriter


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
        provenance=merged_provenance([selection.attributes for selection in export.selections], kind),
        force=force,
    )
    with writer:
        for named in export.clips(usable=False):
            writer.write(named.clip)
            on_clip(named)
    return [path]
