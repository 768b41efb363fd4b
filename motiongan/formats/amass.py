"""Reading AMASS: one recording per .npz, for the bodies SMPL+H, SMPL-X ("stageii" files) and SMPL.

Source of the layout: N. Mahmood et al., AMASS: Archive of Motion Capture as Surface Shapes, ICCV 2019, and the files'
own keys; https://amass.is.tue.mpg.de. Only plain arrays are read: nothing in a file is ever unpickled.
"""

import io
import logging
import tokenize
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from motiongan.body.skeleton import NUM_JOINTS
from motiongan.errors import MotionganError
from motiongan.motion.check import MAX_BETA
from motiongan.motion.clip import NUM_BETAS

logger = logging.getLogger(__name__)

# What zipfile and numpy raise over damaged bytes; numpy's reader of array headers is Python's own tokenizer.
_DAMAGED = (
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    SyntaxError,
    ValueError,
    EOFError,
    OSError,
    KeyError,
)
_NUM_BODY_JOINTS = 22  # root and 21 body joints: what SMPL, SMPL-H and SMPL-X have in common, in the same order
# Numbers per frame of `poses`: 24, 52 and 55 joints.
_BODY_MODELS = {72: "smpl", 156: "smplh", 165: "smplx"}
_FRAME_RATE_KEYS = ("mocap_framerate", "mocap_frame_rate", "frame_rate", "framerate", "fps")
_GENDERS = ("neutral", "female", "male")


class NoMotionError(MotionganError):
    """The file is sound but holds no motion (AMASS's shape.npz, a calibration): to be passed over with this notice."""


@dataclass(frozen=True, eq=False)
class AmassMotion:
    """The content of an AMASS file, in house units and axes, which are AMASS's own.

    poses        (frames, 24, 3) local rotations, axis-angle, SMPL joint order; the hand joints 22 and 23 are at rest
    trans        (frames, 3) metres, Z up
    betas        (10,) the first ten shape coefficients of `body_model`; zeros stand for those a file lacks
    gender       "neutral", "female" or "male"
    frame_rate   Hz; None where the file does not say
    body_model   "smpl", "smplh" or "smplx"; of a file that motiongan exported, whose betas the clip carried
    is_own       motiongan exported the file: there is nothing in it to repair
    """

    poses: Float32[ndarray, "frames 24 3"]
    trans: Float32[ndarray, "frames 3"]
    betas: Float32[ndarray, "10"]
    gender: str
    frame_rate: float | None
    body_model: str
    is_own: bool = False


def read_amass(data: bytes, name: str) -> AmassMotion:
    """The body motion of an AMASS .npz file.

    SMPL+H (`poses` of 156 numbers a frame), SMPL-X (165, or `root_orient` and `pose_body`) and plain SMPL (72).

    data   the file's bytes
    name   what errors and notices call it

    Hand, jaw and eye rotations are left out, and so are SMPL's own hand joints, which AMASS does not fit. NoMotionError
    where the file is a companion without motion; MotionganError where it is damaged.
    """
    try:
        if not data.startswith(b"PK\x03\x04"):  # np.load would take it for a pickle
            raise zipfile.BadZipFile("not a whole zip file")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            if "poses" not in file and "pose_body" not in file:
                held = ", ".join(f"`{key}`" for key in file.files[:6])
                raise NoMotionError(f"{name}: no poses in it (it holds {held}); passed over")
            poses, body_model = _poses(file, name)
            trans = _array(file, "trans", name)
            betas, gender = _betas(file, name), _gender(file, name)
            frame_rate = _frame_rate(file, name)
            is_own = _text(file, "motiongan_creator").startswith("motiongan")
            if is_own and "motiongan_betas" in file:
                # The clip's own shape, of another body model than the file's layout.
                betas, body_model = _betas(file, name, "motiongan_betas"), _text(file, "motiongan_body_model")
    except _DAMAGED as error:
        raise MotionganError(f"{name}: damaged .npz file ({error}), fetch it again") from error
    if trans.shape != (len(poses), 3):
        raise MotionganError(f"{name}: `trans` has shape {trans.shape}, expected ({len(poses)}, 3) to fit the poses")

    body_poses = np.zeros((len(poses), NUM_JOINTS, 3), dtype=np.float32)
    body_poses[:, :_NUM_BODY_JOINTS] = poses.reshape(len(poses), -1, 3)[:, :_NUM_BODY_JOINTS]
    return AmassMotion(body_poses, trans.astype(np.float32), betas, gender, frame_rate, body_model, is_own)


def _array(file: np.lib.npyio.NpzFile, key: str, name: str) -> ndarray:
    """A numeric array of the file."""
    if key not in file:
        raise MotionganError(f"{name}: no `{key}`; not an AMASS file")
    try:
        array = np.asarray(file[key])  # a member that is no .npy comes as bytes
    except ValueError as error:  # numpy's answer to a pickled or cut-off member
        raise MotionganError(f"{name}: `{key}` cannot be read ({error})") from error
    if array.dtype.kind not in "fiu":
        raise MotionganError(f"{name}: `{key}` holds {array.dtype}, expected numbers")
    return array


def _poses(file: np.lib.npyio.NpzFile, name: str) -> tuple[ndarray, str]:
    """Rotations of at least the 22 body joints, (frames, joints x 3), and the body model they belong to."""
    if "poses" in file:
        poses = _array(file, "poses", name)
        if not len(poses):
            raise MotionganError(f"{name}: a clip without frames")
        poses = poses.reshape(len(poses), -1) if poses.ndim == 3 else poses
        if poses.ndim != 2 or poses.shape[1] not in _BODY_MODELS:
            raise MotionganError(f"{name}: `poses` has shape {poses.shape}, expected (frames, 72, 156 or 165)")
        body_model = _BODY_MODELS[poses.shape[1]]
    else:
        parts = [_array(file, key, name) for key in ("root_orient", "pose_body")]
        parts = [part.reshape(len(part), -1) for part in parts]
        frames = len(parts[0])
        if [part.shape for part in parts] != [(frames, 3), (frames, 63)]:
            shapes = " and ".join(str(part.shape) for part in parts)
            raise MotionganError(
                f"{name}: `root_orient` and `pose_body` are {shapes}, expected (frames, 3), (frames, 63)"
            )
        poses = np.concatenate(parts, axis=1)
        # SMPL-X files carry the face's joints and write the rate's name with one more underscore.
        is_smplx = any(key in file for key in ("pose_jaw", "pose_eye", "mocap_frame_rate"))
        body_model = "smplx" if is_smplx else "smplh"
    stated = _text(file, "surface_model_type").lower()
    return poses, stated if stated in _BODY_MODELS.values() else body_model


def _text(file: np.lib.npyio.NpzFile, key: str) -> str:
    """A text of the file, stored as str or bytes, 0-d or in an array of one; "" where there is none that is plain."""
    try:
        array = np.asarray(file[key]) if key in file else np.array("")
    except ValueError:  # it is pickled, and we do not unpickle
        return ""
    if array.size != 1 or array.dtype.kind not in "US":
        return ""
    value = array.reshape(-1)[0]
    return (value.decode("ascii", errors="replace") if isinstance(value, bytes) else str(value)).strip()


def _gender(file: np.lib.npyio.NpzFile, name: str) -> str:
    # Some writers stored the repr of a bytes object: "b'female'"
    gender = _text(file, "gender").lower().removeprefix("b").strip("'\" ")
    if gender in _GENDERS:
        return gender
    if "gender" in file:
        logger.warning("%s: `gender` is not a plain text of %s; neutral is taken", name, ", ".join(_GENDERS))
    return "neutral"


def _betas(file: np.lib.npyio.NpzFile, name: str, key: str = "betas") -> ndarray:
    """The first ten; a table of betas per frame counts by its mean."""
    if key not in file:
        logger.warning("%s: no `%s`; the mean body is taken", name, key)
        return np.zeros(NUM_BETAS, dtype=np.float32)
    betas = _array(file, key, name)
    if betas.ndim == 2 and len(betas):
        betas = betas.mean(axis=0)
    if betas.ndim != 1 or not np.isfinite(betas[:NUM_BETAS]).all():
        raise MotionganError(f"{name}: `{key}` has shape {betas.shape} or is not finite, expected (10), (16) or (300)")
    betas = betas[:NUM_BETAS]
    if betas.size and np.abs(betas).max() > MAX_BETA:
        raise MotionganError(
            f"{name}: `{key}` reaches {np.abs(betas).max():.3g}, expected within {MAX_BETA:.0f} standard deviations"
        )
    return np.pad(betas, (0, NUM_BETAS - len(betas))).astype(np.float32)


def _frame_rate(file: np.lib.npyio.NpzFile, name: str) -> float | None:
    for key in _FRAME_RATE_KEYS:
        if key in file:
            rate = _array(file, key, name)
            if rate.size != 1 or not (np.isfinite(rate).all() and float(rate.reshape(-1)[0]) > 0):
                raise MotionganError(f"{name}: `{key}` is {rate}, expected Hz above 0")
            return float(rate.reshape(-1)[0])
    logger.warning("%s: no frame rate in it; it must come from the labels", name)
    return None
