import json

import numpy as np
import pytest

from motiongan.errors import MotionganError
from motiongan.motion.store import MotionFile, read_clips, write_clips
from motiongan.utility.few import OTHER, SAME, UNKNOWN, check_origin, read_split, write_few


@pytest.fixture
def real(tmp_path, make_clip):
    """Three people with five walks and three squats each; one walk lasts ten seconds, one is too short."""
    path = tmp_path / "real.h5"
    lengths = (40, 300, 50, 30, 10)
    clips = [
        make_clip(10 * person + number, num_frames=lengths[number % 5], action=action, subject=name)
        for person, name in enumerate(("anna", "ben", "carl"))
        for number, action in enumerate(["walk"] * 5 + ["squat"] * 3)
    ]
    write_clips(path, clips, kind="captured", licence="CC0-1.0")
    return path


def test_the_few_are_so_many_of_each_action_cut_short_and_never_of_the_test_people(real):
    split = read_split(real, per_action=3, held_out="ben")
    assert sorted(clip.action for clip in split.few) == ["squat"] * 3 + ["walk"] * 3
    assert all(16 <= clip.num_frames <= 120 for clip in split.few)
    assert {clip.subject for clip in split.test} == {"ben"}
    assert "ben" not in {clip.subject for clip in [*split.few, *split.others, *split.training]}
    assert len(split.training) == len(split.few) + len(split.others) == 14
    assert max(clip.num_frames for clip in split.training) == 300


def test_the_few_of_an_action_do_not_depend_on_which_others_are_wanted(real):
    both = read_split(real, per_action=2, held_out="ben")
    alone = read_split(real, per_action=2, held_out="ben", actions="walk")
    walks = [clip for clip in both.few if clip.action == "walk"]
    assert len(alone.few) == 2
    assert all(np.array_equal(one.poses, two.poses) for one, two in zip(alone.few, walks))
    other = read_split(real, per_action=2, held_out="ben", seed=1)
    assert other.content_hash != both.content_hash


def test_the_written_few_have_the_hash_that_training_on_them_records(real, tmp_path):
    split = read_split(real, per_action=2, held_out="ben")
    write_few(tmp_path / "few.h5", split)
    with MotionFile(tmp_path / "few.h5") as file:
        assert file.content_hash() == split.content_hash
        assert json.loads(file.attributes["held_out"]) == ["ben"]
        assert file.attributes["licence"] == "CC0-1.0"
    assert len(read_clips(tmp_path / "few.h5")) == 4


def test_a_generator_of_just_the_few_is_taken_and_any_other_refused_in_one_line(real):
    split = read_split(real, per_action=2, held_out="ben")
    good = check_origin("m", {"training_data": split.content_hash, "subjects": ["anna"]}, split, allow_leak=False)
    assert (good.verdict, good.saw_test_people) == (SAME, ())
    for recorded, verdict in (({"training_data": split.real_hash}, OTHER), ({}, UNKNOWN)):
        with pytest.raises(MotionganError, match=f"{verdict}.*--write-few.*--allow-leak") as error:
            check_origin("m", recorded, split, allow_leak=False)
        assert "\n" not in str(error.value)
        assert check_origin("m", recorded, split, allow_leak=True).verdict == verdict


def test_a_file_merged_of_several_trainings_clips_says_so(real):
    split = read_split(real, per_action=2, held_out="ben")
    few, other = split.content_hash, split.real_hash
    told = f"{few[:8]}, {other[:8]}; the few are {few[:8]}"
    for recorded, of in (
        ({"training_data": f"{few}; {other}"}, "trainings"),
        ({"training_data": few, "selected_by": f"{few}; {other}"}, "gates"),
    ):
        with pytest.raises(MotionganError) as error:
            check_origin("merged.h5", recorded, split, allow_leak=False)
        assert f"other clips than the few (it holds clips of several {of}: {told})" in str(error.value)
        assert "is not" not in str(error.value)
        assert "\n" not in str(error.value)


def test_clips_that_a_gate_selected_by_other_clips_than_the_few_are_refused_in_one_line(real):
    split = read_split(real, per_action=2, held_out="ben")
    made = {"training_data": split.content_hash}
    proper = check_origin("m", {**made, "selected_by": split.content_hash}, split, allow_leak=False)
    assert (proper.is_leaky, "selected" in proper.line()) == (False, False)
    for selected_by in (split.real_hash, f"{split.content_hash}; {split.real_hash}"):
        recorded = {**made, "selected_by": selected_by}
        with pytest.raises(MotionganError, match=r"gate compared with other clips.*--write-few.*--allow-leak") as error:
            check_origin("m", recorded, split, allow_leak=False)
        assert "\n" not in str(error.value)
        leak = check_origin("m", recorded, split, allow_leak=True)
        assert (leak.verdict, leak.is_leaky, leak.selected_by) == (SAME, True, selected_by)
        assert "a quality gate selected its clips by others" in leak.line()


def test_test_people_whom_a_generator_saw_are_named(real):
    split = read_split(real, per_action=2, held_out="ben,carl")

    def seen(**recorded):
        return check_origin("m", {"training_data": "x", **recorded}, split, allow_leak=True).saw_test_people

    assert seen(subjects=["anna", "ben"]) == ("ben",)
    assert seen(held_out='["ben", "dora"]') == ("carl",)
    assert seen(held_out=["ben", "carl"]) == ()
    assert seen(held_out="[]") == ("ben", "carl")  # it may have seen everybody
    assert seen() == ()  # nothing is recorded
    leak = check_origin("m", {"training_data": "x", "subjects": ["ben"]}, split, allow_leak=True)
    assert "test people ben" in leak.line()


def test_people_who_share_no_action_with_the_others_cannot_be_tested_on(tmp_path, make_clip):
    clips = [make_clip(1, action="walk", subject="anna"), make_clip(2, action="squat", subject="ben")]
    write_clips(tmp_path / "real.h5", clips, kind="captured")
    with pytest.raises(MotionganError, match="no action is shown by held-out people"):
        read_split(tmp_path / "real.h5", per_action=1, held_out="ben")
