"""SkeletonMotion: what the parsers of skeleton formats (BVH, ASF/AMC) return, before retargeting."""

from dataclasses import dataclass

from jaxtyping import Float64, Int64
from numpy import ndarray


@dataclass(frozen=True, eq=False)
class SkeletonMotion:
    """A motion on the file's own skeleton, in the file's own axes (mostly Y up), lengths in the file's unit.

    Forward kinematics of it: world rotation of a joint = world rotation of its parent @ `rotations`;
    joint position = parent's position + parent's world rotation @ `offsets`; the root's position is
    `root_positions`. In ASF a bone rotates about its start: it appears here as the joint at that start.

    names            joint names as in the file, parents before children; end sites are joints named "<parent>_end"
    parents          (joints,) index of the parent, -1 for the root
    offsets          (joints, 3) joint minus its parent in the zero pose; zeros for the root
    rotations        (frames, joints, 3, 3) local rotation matrices; identity for end sites
    root_positions   (frames, 3)
    frame_rate       Hz, as the file says it (AMC files do not: None)
    up_axis          "y" or "z"
    metres_per_unit  length of the file's unit where the file states it, else None
    """

    names: tuple[str, ...]
    parents: Int64[ndarray, "joints"]
    offsets: Float64[ndarray, "joints 3"]
    rotations: Float64[ndarray, "frames joints 3 3"]
    root_positions: Float64[ndarray, "frames 3"]
    frame_rate: float | None = None
    up_axis: str = "y"
    metres_per_unit: float | None = None
