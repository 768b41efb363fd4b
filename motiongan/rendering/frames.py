"""Finished frames on their way to the files: what a renderer hands to the writers, piece by piece.

Long clips come in pieces of some dozens of frames, in order, so that memory does not grow with a clip's length.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from jaxtyping import Float32
from numpy import ndarray

from motiongan.rendering.camera import Camera
from motiongan.rendering.rasterizer import Buffers


@dataclass(frozen=True, eq=False)
class PersonTrack:
    """One person over the frames of a piece, in world axes: metres, radians, Z up.

    poses      (frames, 24, 3) axis-angle, SMPL joint order, as placed in the scene (joint 0 turns with the placing)
    trans      (frames, 3) SMPL root translation, as placed
    betas      (10,) shape, of the body model of the render
    joints     (frames, 24, 3) world positions
    vertices   (frames, vertices, 3) world positions
    action     label of the clip, None without one
    clip       the clip's number in the motion file
    seed       generated clips: the seed it was drawn from
    """

    poses: Float32[ndarray, "frames 24 3"]
    trans: Float32[ndarray, "frames 3"]
    betas: Float32[ndarray, "10"]
    joints: Float32[ndarray, "frames 24 3"]
    vertices: Float32[ndarray, "frames vertices 3"]
    action: str | None
    clip: int
    seed: int | None = None
    gender: str = "neutral"
    subject: str = ""


@dataclass(frozen=True, eq=False)
class RenderedClip:
    """Consecutive frames of one scene seen by one camera: a whole clip, or a piece of a long one.

    camera         one camera per frame of the piece
    buffers        the pictures; instance k + 1 is people[k]
    people         who is in the scene; the first is the clip that names it
    frame_numbers  of the motion file's clip (of its resampled form where --fps was given), increasing
    frame_rate     Hz between consecutive frame numbers
    name           of the scene, unique in the run and fit for a file name: "00003_run"; the same for all views
    view           number of the camera, from 0
    background     what stands behind the people, in words
    draws          every random choice made for this scene and view, fit for JSON; the same in all pieces
    in_video       True where the pictures are written as frames of a video only
    """

    camera: Camera
    buffers: Buffers
    people: tuple[PersonTrack, ...]
    frame_numbers: Sequence[int]
    frame_rate: float
    name: str
    view: int
    background: str = ""
    draws: Mapping[str, Any] = field(default_factory=dict)
    in_video: bool = False

    @property
    def stem(self) -> str:
        """Name of the scene and view: the folder of its frames, and the stem of files about all of them."""
        return stem(self.name, self.view)

    def frame_name(self, index: int) -> str:
        """`stem/000012`: where frame `index` of the piece lies below the folders of colour images, masks, depth."""
        return frame_name(self.name, self.view, self.frame_numbers[index])

    def image_path(self, index: int) -> str:
        """File that holds the picture of frame `index` of the piece, relative to the run's folder: image or video."""
        return video_name(self.stem) if self.in_video else f"images/{self.frame_name(index)}{IMAGE_SUFFIX}"


IMAGE_SUFFIX = ".png"
VIDEO_SUFFIX = ".mp4"


def stem(name: str, view: int) -> str:
    """Name of a scene seen by one of its cameras."""
    return f"{name}_view{view}"


def frame_name(name: str, view: int, frame_number: int) -> str:
    """Place of one frame below each folder of pictures, without suffix."""
    return f"{stem(name, view)}/{frame_number:06d}"


def video_name(stem: str) -> str:
    """Path of the video of a scene and view, relative to the run's folder."""
    return f"videos/{stem}{VIDEO_SUFFIX}"


class FrameWriter(Protocol):
    """Takes the pieces of one scene and view in order and writes something of them."""

    def write(self, piece: RenderedClip) -> None:
        """Take the next frames."""

    def close(self) -> None:
        """The scene is complete: finish the files. Not called after an error; nothing half-written may stay."""
