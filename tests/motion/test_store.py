"""The motion file: what is written comes back, with its scores and with where it comes from."""

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
from format_page import untold

from motiongan import __version__
from motiongan.body.skeleton import JOINT_NAMES
from motiongan.errors import MotionganError
from motiongan.motion.clip import SCORE_UNITS, Clip
from motiongan.motion.store import MotionFile, MotionWriter, read_clips, write_clips

MADE_BY = {"checkpoint": "ab", "seed": 3, "training_data": "cd", "config": "{}"}
FIELDS = ("frame_rate", "action", "gender", "subject", "source", "seed")


def assert_same(clip: Clip, other: Clip) -> None:
    for name in ("poses", "trans", "betas"):
        assert np.array_equal(getattr(clip, name), getattr(other, name)), name
    assert [getattr(clip, name) for name in FIELDS] == [getattr(other, name) for name in FIELDS]


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_clips_survive_the_file(tmp_path, make_clip):
    clips = [
        make_clip(0, num_frames=30, betas=np.linspace(-2, 2, 10), gender="female", source="walks/a.npz 0-1 s"),
        make_clip(1, num_frames=1, action=None, subject="Jörg"),
        make_clip(2, num_frames=1500, action="kick_left", subject=""),
        make_clip(3, num_frames=17, action="walk"),
    ]
    write_clips(tmp_path / "motion.h5", clips, kind="captured", licence="CC-BY-4.0")
    for clip, same in zip(clips, read_clips(tmp_path / "motion.h5"), strict=True):
        assert_same(clip, same)
    with MotionFile(tmp_path / "motion.h5") as file:
        assert (len(file), file.frame_rate, file.kind, file.body_model) == (4, 30.0, "captured", "motiongan")
        assert file.actions == ("walk", "kick_left")
        assert file.attributes["licence"] == "CC-BY-4.0"
        assert_same(file[-1], clips[3])
        with pytest.raises(IndexError):
            file[4]


def test_the_file_explains_itself_to_someone_with_h5py_alone(tmp_path, make_clip):
    clip = dataclasses.replace(make_clip(0, num_frames=12), seed=7)
    write_clips(tmp_path / "motion.h5", [clip, clip], kind="generated", provenance=MADE_BY)
    with h5py.File(tmp_path / "motion.h5") as file:
        assert dict(file.attrs) | {"created": ""} == {
            "format": "motiongan.motion",
            "version": 1,
            "frame_rate": 30.0,
            "up_axis": "z",
            "kind": "generated",
            "body_model": "motiongan",
            "creator": f"motiongan {__version__}",
            "created": "",
            "licence": "",
            **MADE_BY,
        }
        types = {name: (file[name].shape, file[name].dtype.str) for name in ("poses", "trans")}
        assert types == {"poses": ((24, 24, 3), "<f4"), "trans": ((24, 3), "<f4")}
        columns = {name: (file["clips"][name].shape, file["clips"][name].dtype.str[1:]) for name in file["clips"]}
        assert columns == {
            "start": ((2,), "i8"),
            "length": ((2,), "i4"),
            "action": ((2,), "i2"),
            "betas": ((2, 10), "f4"),
            "gender": ((2,), "O"),
            "subject": ((2,), "O"),
            "source": ((2,), "O"),
            "seed": ((2,), "i8"),
        }
        assert file["actions"].asstr()[:].tolist() == ["walk"]
        assert file["joint_names"].asstr()[:].tolist() == list(JOINT_NAMES)
        assert file["poses"].fletcher32
        assert file["trans"].fletcher32
        start, length = file["clips/start"][1], file["clips/length"][1]
        assert np.array_equal(file["poses"][start : start + length], clip.poses)


def test_captured_clips_have_no_seed_column(motion_file):
    with h5py.File(motion_file) as file:
        assert "seed" not in file["clips"]
    assert read_clips(motion_file)[0].seed is None


def scored(clip: Clip, **quality: float) -> Clip:
    return dataclasses.replace(clip, quality=quality)


def test_scores_survive_the_file_with_their_units(tmp_path, make_clip):
    clips = [
        scored(make_clip(0), foot_skate=0.25, recognized=0.5),
        make_clip(1),
        scored(make_clip(2), foot_skate=0.125, jerk=float("nan"), of_mine=3.0),
    ]
    write_clips(tmp_path / "motion.h5", clips, kind="sample")
    read = [clip.quality for clip in read_clips(tmp_path / "motion.h5")]
    assert read == [{"foot_skate": 0.25, "recognized": 0.5}, {}, {"foot_skate": 0.125, "of_mine": 3.0}]
    with h5py.File(tmp_path / "motion.h5") as file:
        scores = file["clips/quality"]
        assert {name: (scores[name].dtype.str, scores[name].attrs["unit"]) for name in scores} == {
            "foot_skate": ("<f4", "m/s"),
            "recognized": ("<f4", "1"),
            "jerk": ("<f4", "m/s^3"),
            "of_mine": ("<f4", ""),
        }
        assert np.array_equal(scores["foot_skate"][:], np.float32([0.25, np.nan, 0.125]), equal_nan=True)
        assert file.attrs["version"] == 1


def test_everything_in_a_file_is_told_in_the_docs(tmp_path, make_clip):
    clip = dataclasses.replace(make_clip(), seed=2, quality=dict.fromkeys([*SCORE_UNITS, "of_mine"], 0.5))
    write_clips(tmp_path / "motion.h5", [clip], kind="generated", provenance={**MADE_BY, "on_a_whim": "yes"})
    assert untold(tmp_path / "motion.h5") == {"on_a_whim", "of_mine"}


def test_a_score_that_turns_up_late_is_unknown_for_the_clips_before(tmp_path, make_clip, monkeypatch):
    monkeypatch.setattr("motiongan.motion.store._FLUSH_FRAMES", 50)
    clips = [
        scored(make_clip(0, num_frames=30), **({"jerk": float(number)} if number % 7 == 5 else {}))
        for number in range(20)
    ]
    write_clips(tmp_path / "motion.h5", clips, kind="sample")
    read = [clip.quality for clip in read_clips(tmp_path / "motion.h5")]
    assert read == [{"jerk": number} if number % 7 == 5 else {} for number in range(20)]


def test_clips_without_scores_make_a_file_without_the_group(motion_file):
    with h5py.File(motion_file) as file:
        assert "quality" not in file["clips"]
    with MotionFile(motion_file) as file:
        assert (file.quality, file.quality_units, file[0].quality) == ({}, {}, {})


def test_scores_are_no_part_of_the_motion(tmp_path, clips):
    write_clips(tmp_path / "plain.h5", clips, kind="sample")
    write_clips(tmp_path / "scored.h5", [scored(clip, jerk=1.0) for clip in clips], kind="sample")
    with MotionFile(tmp_path / "plain.h5") as plain, MotionFile(tmp_path / "scored.h5") as other:
        assert plain.content_hash() == other.content_hash()


def test_a_score_whose_name_is_a_path_is_refused(tmp_path, make_clip):
    with pytest.raises(ValueError, match=r"score 'a/b': expected a name of letters, digits and underscores"):
        write_clips(tmp_path / "motion.h5", [scored(make_clip(0), **{"a/b": 1.0})], kind="sample")
    assert entries(tmp_path) == []


def test_what_came_of_a_run_is_noted_at_its_end(tmp_path, make_clip):
    with MotionWriter(tmp_path / "motion.h5", frame_rate=30.0, kind="sample") as writer:
        writer.write(make_clip(0))
        writer.note("acceptance_rate", 0.75)
    with MotionFile(tmp_path / "motion.h5") as file:
        assert file.attributes["acceptance_rate"] == 0.75


def test_many_clips_stream_through_a_small_buffer(tmp_path, make_clip, monkeypatch):
    monkeypatch.setattr("motiongan.motion.store._FLUSH_FRAMES", 50)
    clips = [make_clip(seed, num_frames=10 + seed) for seed in range(20)]
    held = []
    with MotionWriter(tmp_path / "motion.h5", frame_rate=30.0, kind="sample") as writer:
        for clip in clips:
            writer.write(clip)
            held.append(sum(pending.num_frames for pending in writer._pending))
    assert max(held) < 50 + 29
    for clip, same in zip(clips, read_clips(tmp_path / "motion.h5"), strict=True):
        assert_same(clip, same)


def test_equal_clips_at_a_set_time_make_equal_bytes(tmp_path, clips, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("a.h5", "b.h5"):
        write_clips(tmp_path / name, clips, kind="sample")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with MotionFile(tmp_path / "a.h5") as file:
        assert file.attributes["created"] == "2023-11-14T22:13:20+00:00"


def test_the_content_hash_is_of_the_motion_and_not_of_its_wrapping(tmp_path, clips, make_clip):
    def digest(name: str, written: list[Clip], **attributes: object) -> str:
        write_clips(tmp_path / name, written, kind="sample", **attributes)
        with MotionFile(tmp_path / name) as file:
            return file.content_hash()

    reference = digest("a.h5", clips)
    assert digest("b.h5", clips, licence="other", provenance={"note": "x"}) == reference
    nudged = clips[2].poses.copy()
    nudged[7, 3, 1] += 1e-6
    others = [
        [*clips[:2], make_clip(2, num_frames=50, action="walk", subject="ben"), clips[3]][:3],  # one clip fewer
        [clips[1], clips[0], *clips[2:]],  # another order
        [*clips[:3], make_clip(3, num_frames=60, action="squat", subject="ben")],  # another label
        [*clips[:3], make_clip(3, num_frames=60, action=None, subject="zoe")],  # another person
        [*clips[:2], Clip(nudged, clips[2].trans, 30.0, "walk", subject="ben"), clips[3]],  # another pose
    ]
    digests = {digest(f"{number}.h5", other) for number, other in enumerate(others)}
    assert len(digests) == len(others)
    assert reference not in digests


def test_reading_one_clip_reads_only_its_frames(tmp_path, make_clip):
    # Each clip fills HDF5 chunks of its own; all but the middle one's are damaged, which their checksum shows.
    clips = [make_clip(seed, num_frames=2048) for seed in range(3)]
    path = tmp_path / "motion.h5"
    write_clips(path, clips, kind="sample")
    with h5py.File(path) as file:
        poses = file["poses"].id
        infos = [poses.get_chunk_info(index) for index in range(poses.get_num_chunks())]
    with open(path, "r+b") as file:
        for info in infos:
            if info.chunk_offset[0] // 2048 != 1:
                file.seek(info.byte_offset + info.size // 2)
                file.write(b"damaged")
    with MotionFile(path) as file:
        assert_same(file[1], clips[1])
        with pytest.raises(MotionganError, match=r"motion\.h5: clip 2: damaged frames"):
            file[2]
