"""What is known of each person in each rendered frame: keypoints, box, mask, SMPL parameters in the camera's frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray

from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.rendering.frames import PersonTrack, RenderedClip
from motiongan.rendering.keypoints import OUTSIDE, Keypoints, project, visibility

# BEDLAM's crop: the box round the first 22 joints inside the picture, grown by this factor; scale 1 is 200 pixels.
_CROP_GROWTH = 1.2
_CROP_UNIT = 200
_CROP_JOINTS = 22
_CROP_MIN_JOINTS = 8  # with fewer of them inside, the box of the mask says more


@dataclass(frozen=True, eq=False)
class Annotations:
    """Tables of one piece of a clip; docs/annotations.md tells every column.

    images   name -> (frames, ...) what belongs to the frame: its file, its camera
    people   name -> (rows, ...) one row for every frame and person with at least one pixel of its own
    """

    images: dict[str, ndarray]
    people: dict[str, ndarray]


def annotate(piece: RenderedClip, keypoints: Keypoints, body: Body) -> Annotations:
    """Everything about the frames of a piece and the people that can be seen in them.

    Rows are ordered by frame, then by person.
    """
    assert piece.people, "a scene has at least one person"
    num_frames = len(piece.buffers)
    extrinsics = np.zeros((num_frames, 4, 4))
    extrinsics[:, :3, :3] = piece.camera.rotation.numpy()
    extrinsics[:, :3, 3] = piece.camera.translation.numpy()
    extrinsics[:, 3, 3] = 1
    images: dict[str, ndarray] = {
        "image_name": np.array([piece.image_path(index) for index in range(num_frames)]),
        "image_frame": np.asarray(piece.frame_numbers, dtype=np.int64),
        "image_cam_int": piece.camera.intrinsics.numpy().astype(np.float32),
        "image_cam_ext": extrinsics.astype(np.float32),
    }
    tables = [_person(piece, number, keypoints, body, extrinsics) for number in range(len(piece.people))]
    people = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    order = np.lexsort((people["person"], people["image"]))
    people = {name: column[order] for name, column in people.items()}
    image = people["image"]
    of_image = {"imgname": "image_name", "cam_int": "image_cam_int", "cam_ext": "image_cam_ext"}  # BEDLAM's names
    return Annotations(images, people | {name: images[source][image] for name, source in of_image.items()})


def camera_parameters(
    track: PersonTrack, rotation: Float64[ndarray, "frames 3 3"], rest_pelvis: Float64[ndarray, "3"]
) -> tuple[Float64[ndarray, "frames 24 3"], Float64[ndarray, "frames 3"]]:
    """SMPL's poses and trans in axes turned by `rotation` about the origin (world -> camera, without its translation).

    The root turns about the rest pelvis p, not about the origin: a body point x = R_root (x0 - p) + p + trans becomes
    R x = (R R_root) (x0 - p) + R (p + trans), which is p + trans' with trans' = R (p + trans) - p.
    With the camera's translation added to trans', the body model gives its vertices in the camera's frame.
    """
    poses = track.poses.astype(np.float64)
    root = roma.rotvec_to_rotmat(torch.from_numpy(poses[:, 0])).numpy()
    poses[:, 0] = roma.rotmat_to_rotvec(torch.from_numpy(rotation @ root)).numpy()
    pelvis = rest_pelvis + track.trans.astype(np.float64)
    return poses, np.einsum("fij,fj->fi", rotation, pelvis) - rest_pelvis


def mask_box(mask: Bool[ndarray, "height width"]) -> tuple[int, int, int, int]:
    """x, y, width, height of the smallest box round a mask, pixels from the outer corner; zeros for an empty mask."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    if not len(columns):
        return 0, 0, 0, 0
    return (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0] + 1),
        int(rows[-1] - rows[0] + 1),
    )


def encode_mask(mask: Bool[ndarray, "height width"]) -> str:
    """The `counts` of a mask as COCO's compressed run-length code."""
    code: dict[str, Any] = _mask_api().encode(np.asfortranarray(mask, dtype=np.uint8))
    return code["counts"].decode("ascii")


def decode_mask(counts: str, height: int, width: int) -> Bool[ndarray, "height width"]:
    """The mask of COCO's compressed run-length code."""
    return _mask_api().decode({"size": [height, width], "counts": counts.encode("ascii")}).astype(bool)


def check_annotations() -> None:
    """Raise MotionganError where annotations cannot be made."""
    _mask_api()


def _mask_api() -> Any:
    try:
        from pycocotools import mask
    except ImportError:
        raise MotionganError("annotations need pycocotools: pip install 'motiongan[render]'") from None
    return mask


def _person(
    piece: RenderedClip, number: int, keypoints: Keypoints, body: Body, extrinsics: Float64[ndarray, "frames 4 4"]
) -> dict[str, ndarray]:
    """The rows of one person."""
    track = piece.people[number]
    masks = piece.buffers.instance == number + 1
    shown = np.flatnonzero(masks.any((1, 2)))
    rotation, translation = extrinsics[:, :3, :3], extrinsics[:, :3, 3]

    world = keypoints.locate(track.joints, track.vertices)
    pixels, depth = project(piece.camera, world)
    seen = visibility(keypoints, pixels, depth, piece.buffers, number)
    in_camera = np.einsum("fij,fpj->fpi", rotation, world.astype(np.float64)) + translation[:, None]
    in_camera[:, ~keypoints.known] = np.nan
    pixels[(depth <= 0) | ~keypoints.known] = np.nan

    rest_pelvis = body.skeleton(torch.from_numpy(track.betas)).rest_joints[0].double().numpy()
    poses, trans = camera_parameters(track, rotation, rest_pelvis)
    boxes = np.array([mask_box(masks[index]) for index in shown], np.int64).reshape(-1, 4)
    joints = slice(*keypoints.sets["smpl24"].indices(len(keypoints.names)))
    center, scale = _crops(boxes, pixels[shown, joints], seen[shown, joints])
    rows: dict[str, ndarray] = {
        "image": shown.astype(np.int64),
        "person": np.full(len(shown), number + 1, np.int64),
        "center": center.astype(np.float32),
        "scale": scale.astype(np.float32),
        "box": boxes.astype(np.float32),
        "area": masks[shown].sum((1, 2)).astype(np.int64),
        "segmentation": np.array([encode_mask(masks[index]) for index in shown], dtype=str),
        "pose_cam": poses.reshape(len(poses), -1)[shown].astype(np.float32),
        "pose_world": track.poses.reshape(len(poses), -1)[shown],
        "shape": _repeat(track.betas, shown),
        "trans_cam": trans[shown].astype(np.float32),
        "trans_world": track.trans[shown],
        "trans_in_camera": (trans + translation)[shown].astype(np.float32),
        "gtkps": _with_confidence(pixels[shown, joints]),
        "gender": _repeat(np.array(track.gender, dtype=str), shown),
        "sub": _repeat(np.array(track.subject, dtype=str), shown),
        "action": _repeat(np.array(track.action or "", dtype=str), shown),
        "clip": _repeat(np.array(track.clip, np.int64), shown),
        "seed": _repeat(np.array(-1 if track.seed is None else track.seed, np.int64), shown),
    }
    for name, points in keypoints.sets.items():
        rows[f"keypoints_{name}"] = pixels[shown, points].astype(np.float32)
        rows[f"visibility_{name}"] = seen[shown, points]
        rows[f"points_{name}"] = in_camera[shown, points].astype(np.float32)
    return rows


def _crops(
    boxes: Int64[ndarray, "rows 4"], joints: Float64[ndarray, "rows 24 2"], seen: ndarray
) -> tuple[Float64[ndarray, "rows 2"], Float64[ndarray, "rows"]]:
    """Middle and scale (longer side x 1.2 / 200) of BEDLAM's crops, pixels."""
    center, scale = np.zeros((len(boxes), 2)), np.zeros(len(boxes))
    for row, (x, y, width, height) in enumerate(boxes):
        low, high = np.array([x, y], np.float64), np.array([x + width, y + height], np.float64)
        inside = joints[row, :_CROP_JOINTS][seen[row, :_CROP_JOINTS] != OUTSIDE]
        if len(inside) >= _CROP_MIN_JOINTS:
            low, high = inside.min(0), inside.max(0)
        center[row], scale[row] = (low + high) / 2, (high - low).max() * _CROP_GROWTH / _CROP_UNIT
    return center, scale


def _with_confidence(pixels: Float[ndarray, "rows points 2"]) -> Float[ndarray, "rows points 3"]:
    """x, y and 1; all 0 where the point is behind the camera, so that losses weighted by it leave it out."""
    confident = np.isfinite(pixels).all(-1, keepdims=True)
    return np.concatenate([np.where(confident, pixels, 0), confident], -1).astype(np.float32)


def _repeat(value: ndarray, rows: Sequence[int] | ndarray) -> ndarray:
    return np.repeat(value[None], len(rows), axis=0)
