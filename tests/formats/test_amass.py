import io
import logging

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from motiongan.errors import MotionganError
from motiongan.formats.amass import NoMotionError, read_amass

FRAMES = 5
RNG = np.random.default_rng(1)
BODY = RNG.normal(size=(FRAMES, 66))  # root and 21 body joints
HANDS = RNG.normal(size=(FRAMES, 90))
FACE = RNG.normal(size=(FRAMES, 9))  # jaw, left and right eye
TRANS = RNG.normal(size=(FRAMES, 3))
BETAS = RNG.normal(size=300)


def npz(**arrays) -> bytes:
    """As np.savez, which would also write objects: those become pickles."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


SMPLH = {
    "poses": np.hstack([BODY, HANDS]),
    "trans": TRANS,
    "betas": BETAS[:16],
    "gender": np.array("female"),
    "mocap_framerate": np.array(120.0),
    "dmpls": np.zeros((FRAMES, 8)),
}
SMPLX = {
    "poses": np.hstack([BODY, FACE, HANDS]),
    "trans": TRANS,
    "betas": BETAS[:16],
    "gender": np.array("male"),
    "mocap_frame_rate": np.array(59),
    "surface_model_type": np.array("smplx"),
}
SMPL = {
    "poses": np.hstack([BODY, HANDS[:, :6]]),
    "trans": TRANS,
    "betas": BETAS[:10],
    "gender": "neutral",
    "mocap_framerate": 60,
}
SMPLX_PARTS = {key: value for key, value in SMPLX.items() if key not in ("poses", "surface_model_type")}
SMPLX_PARTS |= {"root_orient": BODY[:, :3], "pose_body": BODY[:, 3:], "pose_hand": HANDS, "pose_jaw": FACE[:, :3]}


@pytest.mark.parametrize(
    ("arrays", "body_model", "gender", "frame_rate"),
    [
        (SMPLH, "smplh", "female", 120.0),
        (SMPLX, "smplx", "male", 59.0),
        (SMPLX_PARTS, "smplx", "male", 59.0),
        (SMPL, "smpl", "neutral", 60.0),
    ],
)
def test_every_layout_gives_the_same_body_motion_with_hands_at_rest(arrays, body_model, gender, frame_rate):
    motion = read_amass(npz(**arrays), "kick_poses.npz")
    assert (motion.body_model, motion.gender, motion.frame_rate) == (body_model, gender, frame_rate)
    assert motion.poses.dtype == np.float32
    assert_array_equal(motion.poses[:, :22].reshape(FRAMES, 66), BODY.astype(np.float32))
    assert_array_equal(motion.poses[:, 22:], np.zeros((FRAMES, 2, 3)))
    assert_array_equal(motion.trans, TRANS.astype(np.float32))
    assert_array_equal(motion.betas, BETAS[:10].astype(np.float32))


@pytest.mark.parametrize(
    "gender",
    [np.array("female"), np.array(b"female"), np.array(["female"]), np.array([b"Female "]), "b'female'"],
)
def test_gender_may_be_str_bytes_or_an_array(gender, caplog):
    assert read_amass(npz(**{**SMPLH, "gender": gender}), "a.npz").gender == "female"
    assert not caplog.records


def test_a_pickled_gender_is_not_unpickled_but_neutral_with_a_notice(caplog):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    with caplog.at_level(logging.WARNING):
        motion = read_amass(npz(**{**SMPLH, "gender": np.array(Trap(), dtype=object)}), "a.npz")
    assert motion.gender == "neutral"
    assert "a.npz: `gender` is not a plain text" in caplog.text


@pytest.mark.parametrize(
    ("betas", "expected"),
    [
        (BETAS, BETAS[:10]),
        (BETAS[None, :16], BETAS[:10]),
        (np.tile(BETAS[:10], (FRAMES, 1)), BETAS[:10]),
        (BETAS[:3], np.concatenate([BETAS[:3], np.zeros(7)])),
    ],
)
def test_betas_of_any_number_become_ten(betas, expected):
    motion = read_amass(npz(**{**SMPLH, "betas": betas}), "a.npz")
    np.testing.assert_allclose(motion.betas, expected, rtol=1e-6)


def test_a_companion_without_poses_is_told_apart_from_damage():
    with pytest.raises(NoMotionError, match=r"KIT/3/shape.npz: no poses in it \(it holds `betas`, `gender`\)"):
        read_amass(npz(betas=BETAS[:16], gender="male"), "KIT/3/shape.npz")


def test_a_missing_frame_rate_is_left_to_the_labels(caplog):
    with caplog.at_level(logging.WARNING):
        motion = read_amass(npz(**{key: value for key, value in SMPLH.items() if key != "mocap_framerate"}), "a.npz")
    assert motion.frame_rate is None
    assert "no frame rate" in caplog.text


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({**SMPLH, "poses": BODY}, "`poses` has shape (5, 66), expected (frames, 72, 156 or 165)"),
        ({**SMPLH, "trans": TRANS[:4]}, "`trans` has shape (4, 3), expected (5, 3)"),
        ({**SMPLH, "poses": np.array([None])}, "`poses` cannot be read"),
        ({**SMPLH, "mocap_framerate": 0}, "expected Hz above 0"),
        ({**SMPLH, "betas": np.full(10, 40.0)}, "`betas` reaches 40, expected within 10 standard deviations"),
        ({**SMPLX_PARTS, "pose_body": BODY[:4, 3:]}, "`root_orient` and `pose_body` are (5, 3) and (4, 63)"),
        ({key: value for key, value in SMPLH.items() if key != "trans"}, "no `trans`"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(arrays, message):
    with pytest.raises(MotionganError) as raised:
        read_amass(npz(**arrays), "a.npz")
    assert str(raised.value).startswith("a.npz: ")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kept", [100, 1000, -100])
def test_a_file_cut_off_anywhere_is_told_in_one_line(kept):
    with pytest.raises(MotionganError, match=r"^a.npz: damaged"):
        read_amass(npz(**SMPLH)[:kept], "a.npz")


def test_a_flipped_byte_in_the_poses_is_noticed():
    data = bytearray(npz(**SMPLH))
    data[len(data) // 4] ^= 0xFF
    with pytest.raises(MotionganError, match=r"^a.npz: "):
        read_amass(bytes(data), "a.npz")
