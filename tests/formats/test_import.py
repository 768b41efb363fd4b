"""The import from files to the motion file, on made-up recordings; and on the real ones where they are."""

import csv
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_skeleton import bvh_text, foreign_motion, moving_poses, spread_rest
from format_page import untold

from motiongan.body.smpl import Body
from motiongan.cli.main import main
from motiongan.errors import MotionganError
from motiongan.formats.importing import ImportOptions, import_motion
from motiongan.motion.clip import Clip
from motiongan.motion.store import MotionFile, read_clips, write_clips

SHARED = Path(__file__).parents[2] / "../shared/mocap"
BETAS = np.array([0.5, -0.5, 0, 0, 0, 0, 0, 0, 0, 0], dtype=np.float32)


def write_bvh(path: Path, body: Body, seed: int = 0, num_frames: int = 121, betas: np.ndarray = BETAS) -> np.ndarray:
    """Two seconds at 60 Hz; returns the poses."""
    poses, trans = moving_poses(num_frames, seed)
    path.parent.mkdir(exist_ok=True)
    path.write_text(bvh_text(foreign_motion(body, betas, poses, trans, rest_turns=spread_rest())))
    return poses


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def test_what_cannot_be_read_in_a_folder_is_left_out_and_told(tmp_path: Path, body: Body) -> None:
    write_bvh(tmp_path / "in" / "good.bvh", body)
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "in" / "good.bvh", "inner.bvh")
    whole = (tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "in" / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "part.npz").write_bytes(b"PK\x03\x04garbage")
    empty = {"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3)), "betas": np.zeros(16), "gender": "male"}
    np.savez(tmp_path / "in" / "empty.npz", mocap_framerate=120.0, **empty)
    summary = import_motion([tmp_path / "in"], tmp_path / "out.h5")
    assert len(read_clips(tmp_path / "out.h5")) == 1
    assert untold(tmp_path / "out.h5") == set()
    left_out = {Path(notice.source).name: notice.text for notice in summary.notices if notice.kind == "left out"}
    assert set(left_out) == {"half.tar.gz", "part.npz", "empty.npz"}
    assert left_out["empty.npz"] == "a clip without frames"
    assert left_out["half.tar.gz"].startswith("damaged archive")
    assert left_out["part.npz"].startswith("damaged archive")


def test_a_folder_with_labels_becomes_labelled_clips(tmp_path: Path, body: Body) -> None:
    poses = write_bvh(tmp_path / "in" / "a.bvh", body)
    write_bvh(tmp_path / "in" / "copy.bvh", body)
    write_bvh(tmp_path / "in" / "extra.bvh", body, seed=1)
    (tmp_path / "in" / "notes.txt").write_text("nothing to import")
    write_csv(
        tmp_path / "in" / "index.csv",
        [
            {"file": "a.bvh", "action": "wave", "subject": "Ann", "start_s": 0.5, "end_s": 1.5, "licence": "CC0"},
            {"file": "a.bvh", "action": "walk", "subject": "Ann", "motion_start": 60, "end_s": 9, "licence": "CC0"},
            {"file": "copy.bvh", "action": "walk", "subject": "Ann", "duplicate_of": "a.bvh", "licence": "of the copy"},
            {"file": "elsewhere.bvh", "action": "walk", "licence": "of what is not here"},
        ],
    )
    out = tmp_path / "out.h5"
    summary = import_motion([tmp_path / "in"], out)
    with MotionFile(out) as file:
        assert (file.kind, file.body_model, file.frame_rate) == ("captured", "motiongan", 30.0)
        assert file.attributes["licence"] == "CC0"
        clips = list(file)
    by_action = {clip.action: clip for clip in clips}
    assert set(by_action) == {"wave", "walk", None}
    assert by_action["wave"].subject == "Ann"
    assert by_action["wave"].num_frames == 30
    assert by_action["wave"].source == "a.bvh 0.50-1.50 s"
    assert by_action["walk"].source == "a.bvh 1.00-2.02 s"
    # The body turned back into what moved the foreign skeleton: knees, to within the low-pass and the fit.
    knees = by_action["wave"].poses[3:-3, 4:6]
    assert np.abs(knees - poses[30:90:2, 4:6][3:-3]).max() < 0.02
    assert (summary.files, summary.clips) == (3, 3)
    kinds = {(notice.kind, notice.source.rpartition("/")[2]) for notice in summary.notices}
    assert {("left out", "copy.bvh"), ("assumed", "extra.bvh"), ("passed over", "notes.txt")} <= kinds
    told = [notice.text for notice in summary.notices if notice.source.endswith("/a.bvh") and "label" in notice.text]
    assert told == ["ends at 2.0 s, its label at 9 s: labelled to its end"]


def test_betas_are_those_of_the_person_and_feet_stand_on_the_ground(tmp_path: Path, body: Body) -> None:
    for name in ("a", "b"):
        write_bvh(tmp_path / f"{name}.bvh", body, seed=ord(name))
    import_motion([tmp_path / "a.bvh", tmp_path / "b.bvh"], tmp_path / "out.h5")
    first, second = read_clips(tmp_path / "out.h5")
    assert np.array_equal(first.betas, second.betas)
    leg = [float(body.skeleton(torch.from_numpy(betas)).leg_length) for betas in (first.betas, BETAS, 0 * BETAS)]
    assert abs(leg[0] - leg[1]) < 0.3 * abs(leg[2] - leg[1])


def test_an_archive_gives_the_same_clips_as_its_folder(tmp_path: Path, body: Body) -> None:
    write_bvh(tmp_path / "in" / "a.bvh", body)
    with tarfile.open(tmp_path / "in.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "in" / "a.bvh", "in/a.bvh")
    import_motion([tmp_path / "in"], tmp_path / "folder.h5")
    import_motion([tmp_path / "in.tar.gz"], tmp_path / "archive.h5")
    (one,), (two,) = read_clips(tmp_path / "folder.h5"), read_clips(tmp_path / "archive.h5")
    assert np.array_equal(one.poses, two.poses)
    assert np.array_equal(one.trans, two.trans)


def test_a_faulty_file_is_left_out_with_its_reason_and_the_rest_comes_in(tmp_path: Path, body: Body) -> None:
    write_bvh(tmp_path / "a.bvh", body)
    text = (tmp_path / "a.bvh").read_text()
    (tmp_path / "b.bvh").write_text(text[: len(text) * 2 // 3])
    (tmp_path / "c.bvh").write_text(text.replace("LeftForeArm", "Tentacle"))
    summary = import_motion([tmp_path], tmp_path / "out.h5")
    assert summary.clips == 1
    left_out = {
        notice.source.rpartition("/")[2]: notice.text for notice in summary.notices if notice.kind == "left out"
    }
    assert set(left_out) == {"b.bvh", "c.bvh"}
    assert "lacks LeftForeArm" in left_out["c.bvh"]


def amass_file(path: Path, **changes: object) -> None:
    poses = np.zeros((60, 156), np.float32)
    poses[:, 0] = np.pi / 2
    poses[:, 12] = np.linspace(0, 1, 60)
    content = {
        "poses": poses,
        "trans": np.zeros((60, 3)),
        "betas": np.full(16, 0.5),
        "gender": "female",
        "mocap_framerate": 60.0,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{**content, **changes})  # type: ignore[arg-type]


def test_amass_alone_keeps_its_betas_and_names_their_body(tmp_path: Path) -> None:
    amass_file(tmp_path / "KIT" / "3" / "kick_poses.npz")
    np.savez(tmp_path / "KIT" / "3" / "shape.npz", betas=np.zeros(16))
    summary = import_motion([tmp_path / "KIT"], tmp_path / "out.h5")
    with MotionFile(tmp_path / "out.h5") as file:
        assert file.body_model == "smplh"
        (clip,) = list(file)
    assert np.allclose(clip.betas, 0.5)
    assert (clip.gender, clip.subject, clip.num_frames) == ("female", "3", 30)
    assert clip.poses[15, 4, 0] == pytest.approx(30 / 59, abs=1e-3)
    assert [notice.kind for notice in summary.notices] == ["passed over"]


def test_betas_of_another_body_are_dropped_with_a_notice(tmp_path: Path, body: Body) -> None:
    amass_file(tmp_path / "in" / "kick_poses.npz")
    write_bvh(tmp_path / "in" / "a.bvh", body)
    summary = import_motion([tmp_path / "in"], tmp_path / "out.h5")
    with MotionFile(tmp_path / "out.h5") as file:
        assert file.body_model == "motiongan"
        clips = {clip.source.partition(" ")[0]: clip for clip in file}
    assert not clips["kick_poses.npz"].betas.any()
    assert clips["a.bvh"].betas.any()
    assert any("betas of smplh" in notice.text for notice in summary.notices)


def test_motion_files_are_merged_and_resampled(tmp_path: Path) -> None:
    still = np.zeros((100, 24, 3), np.float32)
    for name, rate in (("one", 50.0), ("two", 25.0)):
        clip = Clip(still, np.zeros((100, 3), np.float32), rate, action=name, betas=BETAS, subject=name)
        write_clips(tmp_path / f"{name}.h5", [clip], kind="captured")
    import_motion(
        [tmp_path / "one.h5", tmp_path / "two.h5"], tmp_path / "out.h5", options=ImportOptions(frame_rate=25.0)
    )
    one, two = read_clips(tmp_path / "out.h5")
    assert (one.action, one.num_frames, two.action, two.num_frames) == ("one", 50, "two", 100)
    assert np.array_equal(one.betas, BETAS)


def test_merged_motion_files_keep_every_licence_once(tmp_path: Path, make_clip: Callable[..., Clip]) -> None:
    for name, licence in (("a", "CC0-1.0"), ("b", "CC-BY-4.0; CC0-1.0"), ("c", "")):
        write_clips(tmp_path / f"{name}.h5", [make_clip()], kind="captured", licence=licence)
    import_motion([tmp_path], tmp_path / "out.h5")
    with MotionFile(tmp_path / "out.h5") as file:
        assert (len(file), file.attributes["licence"]) == (3, "CC0-1.0; CC-BY-4.0")


def test_merged_generated_files_say_where_each_was_made(tmp_path: Path, make_clip: Callable[..., Clip]) -> None:
    for name, checkpoint, held_out in (("a", "11", ["anna", "ben"]), ("b", "22", ["ben", "cleo"])):
        made_by = {"checkpoint": checkpoint, "seed": 3, "training_data": "cd", "config": "{}"}
        made_by |= {"held_out": json.dumps(held_out), "quality_gate": "{}"}
        write_clips(tmp_path / f"{name}.h5", [replace(make_clip(), seed=5)], kind="generated", provenance=made_by)
    import_motion([tmp_path], tmp_path / "out.h5")
    with MotionFile(tmp_path / "out.h5") as file:
        assert (file.kind, file.attributes["checkpoint"], file.attributes["seed"]) == ("generated", "11; 22", 3)
        assert (file.attributes["held_out"], file.attributes["quality_gate"]) == ('["ben"]', "{}")


def test_lost_frames_of_a_merged_motion_file_are_filled_or_left_out_with_a_notice(
    tmp_path: Path, make_clip: Callable[..., Clip]
) -> None:
    mended, lost, sound = (make_clip(seed, num_frames=60) for seed in range(3))
    wanted = mended.poses[30:32].copy()
    mended.poses[30:32] = np.nan
    lost.trans[:] = np.inf
    write_clips(tmp_path / "in.h5", [mended, lost, sound], kind="captured")
    summary = import_motion([tmp_path / "in.h5"], tmp_path / "out.h5")
    first, second = read_clips(tmp_path / "out.h5")
    assert np.abs(first.poses[30:32] - wanted).max() < 0.05
    assert np.array_equal(second.poses, sound.poses)
    assert [(notice.kind, notice.text) for notice in summary.notices] == [
        ("repaired", "lost frames (NaN) filled in"),
        ("left out", "frames with NaN or infinity"),
    ]
    write_clips(tmp_path / "lost.h5", [lost], kind="captured")
    with pytest.raises(MotionganError, match=r"lost\.h5: frames with NaN or infinity"):
        import_motion([tmp_path / "lost.h5"], tmp_path / "none.h5")
    assert not (tmp_path / "none.h5").exists()


def test_nothing_to_import_is_told_in_one_line_and_leaves_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("no motion")
    assert main(["import", str(tmp_path / "in"), "--out", str(tmp_path / "out.h5")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "no motion files" in message
    assert list(tmp_path.iterdir()) == [tmp_path / "in"]
    with pytest.raises(MotionganError, match="no such file or folder"):
        import_motion([tmp_path / "missing"], tmp_path / "out.h5")


def test_the_command_ends_with_a_summary(tmp_path: Path, body: Body, capsys: pytest.CaptureFixture[str]) -> None:
    write_bvh(tmp_path / "a.bvh", body)
    out = tmp_path / "out.h5"
    assert main(["import", str(tmp_path / "a.bvh"), "--out", str(out), "--frame-rate", "20"]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: 1 clips, 0.0 minutes, 1 subjects from 1 files" in printed
    assert "no unit in the file" in printed
    assert read_clips(out)[0].frame_rate == 20.0
    assert main(["import", str(tmp_path / "a.bvh"), "--out", str(out)]) == 2
    assert "--force" in capsys.readouterr().err


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="the recordings in ../shared are not here")
def test_a_recording_in_two_formats_gives_the_same_clip_on_the_sources_own_joints(body: Body) -> None:
    """07_01 as BVH and as AMC: bones within 3 degrees (median), joints within 4 cm (mean), 2 mm apart."""
    from motiongan.formats.conversion import convert_item, convert_part, read_recording
    from motiongan.formats.fit import measure_fit
    from motiongan.formats.importing import labelled_motions
    from motiongan.formats.source_skeleton import pose_source

    options = ImportOptions(frame_rate=120.0)
    clips, betas = [], None
    labels = SHARED / "index.csv"
    for archive, name in (("cmu_asfamc.tar.bz2", "cmu_asfamc/07/07_01.amc"), ("cmu_bvh.tar.bz2", "cmu_bvh/07_01.bvh")):
        items = labelled_motions([SHARED / archive], labels, with_duplicates=True)
        item = next(item for item in items if item.source.name == name)
        calibration = convert_part([item], None, options).calibration
        assert calibration is not None
        betas = calibration.betas if betas is None else betas
        (clip,) = convert_item(item, replace(calibration, betas=betas), options).clips
        assert clip.action == "walk"
        recording = read_recording(item, options)
        start = item.labels[0].motion_start
        source = pose_source(recording.motion, recording.skeleton).joints[start : start + clip.num_frames]
        fit = measure_fit(clip, source, recording.skeleton, body)
        assert np.degrees(np.median(fit.bone_errors)) < 3.0
        assert fit.joint_errors.mean() < 0.04
        assert abs(clip.trans[:, 2].mean() - 0.9) < 0.25
        clips.append(clip)
    assert np.abs(clips[0].trans - clips[1].trans).max() < 0.005
    assert np.abs(clips[0].poses - clips[1].poses).mean() < 0.002
