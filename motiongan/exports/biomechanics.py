"""Export for biomechanics: joint angles (.csv), markers (.trc) and generalised coordinates (.mot), one file per clip.

Sources of the layouts: OpenSim's documentation, "Marker (.trc) Files" and "Motion (.mot) Files",
https://opensimconfluence.atlassian.net/wiki/spaces/OpenSim. OpenSim's room: X forward, Y up, Z right.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from motiongan.body.skeleton import JOINT_NAMES, SOLE_NAMES
from motiongan.exports.clinical_angles import SIDES, TO_ROOM, JointRotations, clinical_angles
from motiongan.exports.selection import Export, NamedClip
from motiongan.files import write_whole
from motiongan.motion.clip import Clip

_MILLIMETRES = 1000.0


def write_csv(export: Export, named: NamedClip, folder: Path) -> Path:
    """Write NAME.csv: time in seconds and the joint angles of `clinical_angles` in degrees, with a line of names."""
    columns = {"time": _times(named.clip), **clinical_angles(named.clip)}
    table = np.stack(list(columns.values()), axis=1)
    lines = [",".join(columns), *_rows(table, "%.4f", ",")]
    return _write(folder / f"{named.name}.csv", lines)


def write_trc(export: Export, named: NamedClip, folder: Path) -> Path:
    """Write NAME.trc: the 24 joints and the 4 sole points as markers, millimetres, in OpenSim's room."""
    posed = export.pose(named.clip)
    points = np.concatenate([posed.joints.numpy(), posed.soles.numpy()], axis=1) @ TO_ROOM.T * _MILLIMETRES
    names = (*JOINT_NAMES, *SOLE_NAMES)
    path = folder / f"{named.name}.trc"
    rate, frames = f"{named.clip.frame_rate:g}", named.clip.num_frames
    keys = (
        "DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame",
        "OrigNumFrames",
    )  # fmt: skip
    values = (rate, rate, frames, len(names), "mm", rate, 1, frames)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "\t".join(keys),
        "\t".join(map(str, values)),
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{number}" for number in range(1, len(names) + 1) for axis in "XYZ"),
        "",
    ]
    table = np.concatenate([_times(named.clip)[:, None], points.reshape(frames, -1)], axis=1)
    rows = _rows(table, "%.4f", "\t")
    return _write(path, [*lines, *(f"{number}\t{row}" for number, row in enumerate(rows, start=1))])


def write_mot(export: Export, named: NamedClip, folder: Path) -> Path:
    """Write NAME.mot: coordinates with the names, axes and signs of OpenSim's full-body model (Rajagopal et al. 2016).

    Degrees; pelvis_tx, _ty, _tz are metres, of our pelvis joint (OpenSim's pelvis begins between the hip bones' front
    edges). Our joints turn about straight axes, the model's knee, ankle and elbow about slightly slanted ones: to start
    from or look at; exact coordinates come from OpenSim's inverse kinematics on the .trc.
    """
    pelvis = export.pose(named.clip).joints[:, 0].numpy() @ TO_ROOM.T
    columns = {"time": _times(named.clip), **_coordinates(named.clip, pelvis)}
    table = np.stack(list(columns.values()), axis=1)
    lines = [
        named.name,
        "version=1",
        f"nRows={len(table)}",
        f"nColumns={len(columns)}",
        "inDegrees=yes",
        "endheader",
        "\t".join(columns),
        *_rows(table, "%.6f", "\t"),
    ]
    return _write(folder / f"{named.name}.mot", lines)


def _coordinates(clip: Clip, pelvis: Float64[ndarray, "frames 3"]) -> dict[str, Float64[ndarray, "frames"]]:
    turns = JointRotations(clip).turns()
    columns = dict(zip(("pelvis_tilt", "pelvis_list", "pelvis_rotation"), turns["pelvis"]))
    columns |= dict(zip(("pelvis_tx", "pelvis_ty", "pelvis_tz"), pelvis.T))
    for side, letter in SIDES.items():
        hip = dict(zip(("hip_flexion", "hip_adduction", "hip_rotation"), turns[f"{side}_hip"]))
        columns |= {f"{name}_{letter}": turn for name, turn in hip.items()}
        columns[f"knee_angle_{letter}"] = -turns[f"{side}_knee"][0]
        ankle = turns[f"{side}_ankle"]
        columns |= {f"ankle_angle_{letter}": ankle[0], f"subtalar_angle_{letter}": ankle[1]}
        columns[f"mtp_angle_{letter}"] = turns[f"{side}_foot"][0]
    columns |= dict(zip(("lumbar_extension", "lumbar_bending", "lumbar_rotation"), turns["trunk"]))
    for side, letter in SIDES.items():
        arm = dict(zip(("arm_flex", "arm_add", "arm_rot"), turns[f"{side}_shoulder"]))
        columns |= {f"{name}_{letter}": turn for name, turn in arm.items()}
        columns[f"elbow_flex_{letter}"] = turns[f"{side}_elbow"][0]
    return columns


def _rows(table: Float64[ndarray, "frames columns"], form: str, between: str) -> list[str]:
    """The rows of a table as text, all numbers but the first in one form."""
    line = between.join(["%.6f", *[form] * (table.shape[1] - 1)])
    return [line % tuple(row) for row in table + 0.0]  # + 0: no -0


def _times(clip: Clip) -> Float64[ndarray, "frames"]:
    return np.arange(clip.num_frames) / clip.frame_rate


def _write(path: Path, lines: list[str]) -> Path:
    write_whole(path, ("\n".join(lines) + "\n").encode())
    return path
