"""Export to AMASS: one .npz per clip, as the SMPL+H files or the SMPL-X ("stageii") files of AMASS are laid out.

Source of the layouts: the files' own keys, https://amass.is.tue.mpg.de; N. Mahmood et al., AMASS, ICCV 2019.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from motiongan import __version__
from motiongan.errors import MotionganError, did_you_mean
from motiongan.exports.selection import Export, NamedClip
from motiongan.files import write_whole
from motiongan.motion.clip import Clip

LAYOUTS = ("smplh", "smplx")
NUM_AMASS_BETAS = 16
_NUM_BODY_JOINTS = 22
_HAND_NUMBERS = 90  # two hands of 15 joints
_FACE_NUMBERS = 9  # SMPL-X: jaw, left and right eye


def choose_layout(export: Export) -> str:
    """The layout that the user wants, else that of the clips' own body model. Raises MotionganError for another."""
    wanted = export.options.layout
    if wanted is None:
        return "smplx" if export.body_model == "smplx" else "smplh"
    if wanted not in LAYOUTS:
        hint = did_you_mean(wanted, LAYOUTS) or f"; one of {', '.join(LAYOUTS)}"
        raise MotionganError(f"--layout {wanted}: unknown layout{hint}")
    return wanted


def write_amass(export: Export, named: NamedClip, folder: Path) -> Path:
    """Write one clip as AMASS does and return its path: NAME_poses.npz (SMPL+H) or NAME_stageii.npz (SMPL-X).

    Fingers, jaw and eyes rest; the files have no `dmpls`, as the clips have no soft tissue.
    Betas belong to one body model. Those of another than the layout's are not written as `betas`, where they would
    make another person: `betas` are then zero, SMPL's mean body, and the clip's own stand beside them as
    `motiongan_betas` with `motiongan_body_model`, from which `motiongan import` restores the clip.
    """
    layout = choose_layout(export)
    arrays = amass_arrays(named.clip, layout, export.body_model)
    if "motiongan_betas" in arrays:
        export.note(
            f"body shapes are for {export.body_model}, not for {layout}: `betas` are 0 (the mean body), the clip's own"
            " stand in `motiongan_betas`"
        )
    path = folder / f"{named.name}_{'poses' if layout == 'smplh' else 'stageii'}.npz"
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_whole(path, content.getvalue())
    return path


def amass_arrays(clip: Clip, layout: str, body_model: str) -> dict[str, Any]:
    """The arrays of an AMASS file: metres, radians, Z up, as the house has it.

    layout       "smplh" or "smplx"
    body_model   whose betas the clip carries
    """
    body = clip.poses[:, :_NUM_BODY_JOINTS].reshape(clip.num_frames, -1)
    hands, face = _at_rest(clip, _HAND_NUMBERS), _at_rest(clip, _FACE_NUMBERS)
    betas = np.zeros(NUM_AMASS_BETAS, dtype=np.float32)
    own: dict[str, Any] = {}
    if body_model == layout:
        betas[: len(clip.betas)] = clip.betas
    else:
        own = {"motiongan_betas": clip.betas, "motiongan_body_model": np.array(body_model)}
    own["motiongan_creator"] = np.array(f"motiongan {__version__}")
    common = {"trans": clip.trans, "gender": np.array(clip.gender), "betas": betas, **own}
    if layout == "smplh":
        poses = np.concatenate([body, hands], axis=1)
        return {"poses": poses, "mocap_framerate": np.array(clip.frame_rate), **common}
    return {
        "poses": np.concatenate([body, face, hands], axis=1),
        "root_orient": body[:, :3],
        "pose_body": body[:, 3:],
        "pose_hand": hands,
        "pose_jaw": face[:, :3],
        "pose_eye": face[:, 3:],
        "mocap_frame_rate": np.array(clip.frame_rate),
        "mocap_time_length": np.array(clip.duration),
        "num_betas": np.array(NUM_AMASS_BETAS),
        "surface_model_type": np.array("smplx"),
        **common,
    }


def _at_rest(clip: Clip, numbers: int) -> Float32[ndarray, "frames numbers"]:
    return np.zeros((clip.num_frames, numbers), dtype=np.float32)
