"""coco.json: the records of a run as COCO person keypoints, with camera, 3D points and SMPL parameters added.

COCO's pixels differ from ours in the points: it counts the centre of the top left pixel as (0, 0), we as (0.5, 0.5).
All points and K's principal point in this file are ours minus 0.5. Boxes and masks count from the outer corner in both.
"""

import contextlib
import io
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from motiongan.body.skeleton import JOINT_NAMES
from motiongan.errors import MotionganError
from motiongan.files import whole_file
from motiongan.rendering.bedlam import Record, find_records, keypoint_names, read_blocks, read_facts
from motiongan.rendering.frames import VIDEO_SUFFIX
from motiongan.rendering.images import MASKS, picture_path
from motiongan.rendering.keypoints import OUTSIDE

FILE = "coco.json"
CATEGORY_ID = 1
COCO_SET = "coco17"
_PIXEL_CENTRE = 0.5  # ours, from the outer corner of the pixel
_DECIMALS = {"pixels": 2, "metres": 5, "radians": 6}
# The skeleton that COCO draws, as pairs of keypoint numbers from 1.
_COCO_SKELETON = (
    *((16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9)),
    *((8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7)),
)


def write_coco(folder: str | Path, *, licence: str = "", description: str = "") -> Path:
    """Merge the complete records of a run into `coco.json`, some frames in memory at a time; its path.

    Records count in the order of their names, so that a resumed run numbers images and people as an unbroken one.
    licence   of the pictures, which is the motion's and the body's together
    """
    records = find_records(folder)
    if not records:
        raise MotionganError(f"{folder}: no annotations in it; nothing was rendered to its end")
    path = Path(folder) / FILE
    facts, _ = read_facts(records[0])
    head = {
        "info": _info(description),
        "licenses": [{"id": 1, "name": licence, "url": ""}],
        "categories": [_category(keypoint_names(facts))],
    }
    with whole_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(json.dumps(head, ensure_ascii=False)[:-1])
        for name, entries in (("images", _images(records)), ("annotations", _people(records))):
            file.write(f', "{name}": [')
            for index, entry in enumerate(entries):
                file.write(("," if index else "") + "\n" + json.dumps(entry, ensure_ascii=False, allow_nan=False))
            file.write("\n]")
        file.write("}\n")
    return path


def image_entry(record: Record, index: int, image_id: int) -> dict[str, Any]:
    """COCO's entry of one frame, with its clip and camera; of a frame that is only in a video, its number there."""
    facts, columns = record.facts, record.columns
    file_name = str(columns["image_name"][index])
    frame = int(columns["image_frame"][index])
    intrinsics = columns["image_cam_int"][index].astype(np.float64)
    intrinsics[:2, 2] -= _PIXEL_CENTRE
    extrinsics = columns["image_cam_ext"][index]
    if file_name.endswith(VIDEO_SUFFIX):
        where: dict[str, Any] = {"video_frame": record.start + index}
    else:
        place = f"{facts['stem']}/{file_name.rpartition('/')[2].rpartition('.')[0]}"
        where = {f"{kind}_file": picture_path(kind, place) for kind in MASKS}
    return {
        "id": image_id,
        "width": facts["width"],
        "height": facts["height"],
        "file_name": file_name,
        "license": 1,
        **where,
        "scene": facts["scene"],
        "view": facts["view"],
        "frame": frame,
        "frame_rate": facts["frame_rate"],
        "camera": {
            "K": _rounded(intrinsics, 4),
            "R": _rounded(extrinsics[:3, :3], 8),
            "t": _rounded(extrinsics[:3, 3], 6),
        },
    }


def person_entry(record: Record, row: int, image_id: int, annotation_id: int) -> dict[str, Any]:
    """COCO's entry of one person in one frame, with the other keypoint sets, 3D points and SMPL parameters."""
    facts, columns = record.facts, record.columns
    coco_visibility = columns[f"visibility_{COCO_SET}"][row]
    others = [name for name in record.keypoint_names if name != COCO_SET]
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": CATEGORY_ID,
        "iscrowd": 0,
        "bbox": [int(value) for value in columns["box"][row]],
        "area": int(columns["area"][row]),
        "segmentation": {
            "size": [facts["height"], facts["width"]],
            "counts": str(columns["segmentation"][row]),
        },
        "num_keypoints": int((coco_visibility != OUTSIDE).sum()),
        "keypoints": _triples(columns[f"keypoints_{COCO_SET}"][row], coco_visibility),
        **{
            f"keypoints_{name}": _triples(columns[f"keypoints_{name}"][row], columns[f"visibility_{name}"][row])
            for name in others
        },
        "keypoints_3d": {
            name: _rounded(columns[f"points_{name}"][row], _DECIMALS["metres"]) for name in (COCO_SET, *others)
        },
        "smpl": {
            "model": facts["body_model"],
            "gender": str(columns["gender"][row]),
            "poses": _rounded(columns["pose_cam"][row], _DECIMALS["radians"]),
            "betas": _rounded(columns["shape"][row], _DECIMALS["radians"]),
            "trans": _rounded(columns["trans_in_camera"][row], _DECIMALS["radians"]),
        },
        "person": int(columns["person"][row]),
        "action": str(columns["action"][row]) or None,
        "clip": int(columns["clip"][row]),
        "seed": int(columns["seed"][row]) if columns["seed"][row] >= 0 else None,
        "subject": str(columns["sub"][row]),
    }


def evaluate_against_itself(path: str | Path) -> dict[str, float]:
    """COCO's average precision of a file's own annotations as detections of score 1, by pycocotools.

    Keys "keypoints", "bbox", "segm": 1 for each says that the file is sound. For keypoints, COCO counts no more than
    20 people of a picture.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    precision = {}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(path))
        for kind in ("keypoints", "bbox", "segm"):
            fields = ("image_id", "category_id", {"segm": "segmentation"}.get(kind, kind))
            found = [
                {**{field: annotation[field] for field in fields}, "score": 1.0}
                for annotation in truth.anns.values()
                if kind != "keypoints" or annotation["num_keypoints"]  # without points it is no detection of points
            ]
            evaluation = COCOeval(truth, truth.loadRes(found), kind)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            precision[kind] = float(evaluation.stats[0])
    return precision


def _info(description: str) -> dict[str, Any]:
    from motiongan import __version__

    return {
        "description": description or "rendered by motiongan",
        "version": __version__,
        "contributor": "motiongan",
        "pixel_rule": "keypoints and K: the centre of the top left pixel is (0, 0); bbox: its outer corner is (0, 0)",
        "camera_rule": "OpenCV: pixels ~ K (R x + t), x in metres, world Z up; keypoints_3d and smpl: camera's frame",
    }


def _category(names: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "id": CATEGORY_ID,
        "name": "person",
        "supercategory": "person",
        "keypoints": names[COCO_SET],
        "skeleton": [list(pair) for pair in _COCO_SKELETON],
        **{f"keypoints_{name}": points for name, points in names.items() if name != COCO_SET},
        "smpl_joints": list(JOINT_NAMES),
    }


def _images(records: Iterable[Path]) -> Iterator[dict[str, Any]]:
    image_id = 0
    for record in read_blocks(records):
        for index in range(record.num_images):
            image_id += 1
            yield image_entry(record, index, image_id)


def _people(records: Iterable[Path]) -> Iterator[dict[str, Any]]:
    images_before, annotation_id = 0, 0
    for record in read_blocks(records):
        for row in range(record.num_people):
            annotation_id += 1
            yield person_entry(record, row, images_before + int(record.columns["image"][row]) + 1, annotation_id)
        images_before += record.num_images


def _triples(pixels: ndarray, visibility: ndarray) -> list[float]:
    """x, y, v of every point in COCO's pixels; 0, 0, 0 for those outside."""
    values: list[float] = []
    for (x, y), seen in zip(pixels.tolist(), visibility.tolist()):
        if seen == OUTSIDE:
            values += [0, 0, 0]
        else:
            values += [*(round(value - _PIXEL_CENTRE, _DECIMALS["pixels"]) for value in (x, y)), seen]
    return values


def _rounded(array: ndarray, decimals: int) -> Any:
    """Nested lists of numbers with so many decimals; a number that is none (a point the body lacks) becomes null."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(item) for item in value]
        return round(value, decimals) if math.isfinite(value) else None

    return plain(array.astype(np.float64).tolist())
