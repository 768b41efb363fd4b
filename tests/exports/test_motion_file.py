from dataclasses import replace

import numpy as np
import pytest

from motiongan.errors import MotionganError
from motiongan.exports.exporting import export_motion
from motiongan.motion.store import MotionFile, write_clips

pytest_plugins = ("exports.export_fixtures",)

PROVENANCE = {"checkpoint": "abc", "seed": 7, "training_data": "def", "config": "{}"}


def test_a_whole_file_reads_back_equal(moving_file, tmp_path):
    summary = export_motion([moving_file], "h5", tmp_path / "out.h5")
    assert (summary.clips, summary.files) == (3, [tmp_path / "out.h5"])
    with MotionFile(moving_file) as source, MotionFile(tmp_path / "out.h5") as copy:
        assert copy.content_hash() == source.content_hash()
        assert (copy.kind, copy.body_model, copy.attributes["licence"]) == ("sample", "motiongan", "CC0-1.0")
        assert (copy.genders, copy.sources) == (source.genders, source.sources)


def test_a_subset_has_its_clips_and_their_actions_only(moving_file, tmp_path):
    export_motion([moving_file], "h5", tmp_path / "folder", clips="2,1")
    with MotionFile(moving_file) as source, MotionFile(tmp_path / "folder" / "moving.h5") as subset:
        assert subset.actions == ("run fast",)
        for copy, original in zip(subset, (source[2], source[1])):
            np.testing.assert_array_equal(copy.poses, original.poses)
            np.testing.assert_array_equal(copy.betas, original.betas)
            assert copy.action == original.action


def test_a_merge_holds_the_clips_of_all_files_at_one_rate(moving_file, tmp_path, make_clip):
    write_clips(
        tmp_path / "slow.h5", [make_clip(5, 11, frame_rate=20.0, action="jump")], kind="captured", licence="MIT"
    )
    export_motion([moving_file, tmp_path / "slow.h5"], "h5", tmp_path / "all.h5", frame_rate=20.0)
    with MotionFile(tmp_path / "all.h5") as merged:
        assert len(merged) == 4
        assert (merged.frame_rate, merged.kind, merged.attributes["licence"]) == (20.0, "captured", "CC0-1.0; MIT")
        assert merged.actions == ("kick_left", "run fast", "jump")
        assert merged[3].num_frames == 11


def test_generated_clips_keep_their_seeds_and_their_making(tmp_path, make_clip):
    clips = [replace(make_clip(number, 5), seed=100 + number) for number in range(3)]
    write_clips(tmp_path / "aug.h5", clips, kind="generated", provenance=PROVENANCE)
    export_motion([tmp_path / "aug.h5"], "h5", tmp_path / "some.h5", clips="1-2")
    with MotionFile(tmp_path / "some.h5") as some:
        assert some.seeds is not None
        assert some.seeds.tolist() == [101, 102]
        assert {name: some.attributes[name] for name in PROVENANCE} == PROVENANCE


def test_a_merge_of_generated_files_tells_of_people_what_holds_for_all_of_them(tmp_path, make_clip):
    told = {"a": {"held_out": '["anna", "ben"]', "subjects": '["cleo"]'}, "b": {"subjects": '["dora", "cleo"]'}}
    for name, people in told.items():
        write_clips(
            tmp_path / f"{name}.h5",
            [replace(make_clip(0, 5), seed=1)],
            kind="generated",
            provenance={**PROVENANCE, **people},
        )
    write_clips(tmp_path / "real.h5", [make_clip(0, 5)], kind="captured")
    export_motion([tmp_path / "a.h5", tmp_path / "b.h5"], "h5", tmp_path / "both.h5")
    export_motion([tmp_path / "a.h5", tmp_path / "real.h5"], "h5", tmp_path / "mixed.h5")
    with MotionFile(tmp_path / "both.h5") as both, MotionFile(tmp_path / "mixed.h5") as mixed:
        assert both.attributes["subjects"] == '["cleo", "dora"]'
        assert both.attributes["held_out"] == '["anna", "ben"]'  # neither of whom the second model saw
        assert not {"subjects", "held_out", "checkpoint"} & set(mixed.attributes)


def test_clips_keep_their_scores(moving_file, tmp_path):
    with MotionFile(moving_file) as file:
        clips = [replace(clip, quality={"jerk": number}) for number, clip in enumerate(file) if number]
    write_clips(tmp_path / "scored.h5", clips, kind="sample", licence="CC0-1.0")
    export_motion([moving_file, tmp_path / "scored.h5"], "h5", tmp_path / "all.h5")
    with MotionFile(tmp_path / "all.h5") as merged:
        assert [clip.quality for clip in merged] == [{}] * 3 + [{"jerk": 1.0}, {"jerk": 2.0}]
        assert merged.quality_units == {"jerk": "m/s^3"}


def test_an_existing_file_is_kept_without_force(moving_file, tmp_path):
    with pytest.raises(MotionganError, match="exists already"):
        export_motion([moving_file], "h5", moving_file)
    export_motion([moving_file], "h5", moving_file, clips="0", force=True)  # onto itself
    with MotionFile(moving_file) as file:
        assert len(file) == 1
