"""Whose clips are training clips, what is left out, and what is said of it."""

import json
import logging
from dataclasses import replace

import pytest

from motiongan.errors import MotionganError
from motiongan.evaluation.inputs import read_inputs
from motiongan.motion.store import MotionFile, read_clips, write_clips

PEOPLE = ("anna", "ben", "carl", "dora")


@pytest.fixture
def folder(tmp_path, make_clip, caplog):
    """data.h5: two walks each of four people."""
    caplog.set_level(logging.INFO, logger="motiongan")
    real = [
        make_clip(4 * person + number, num_frames=20, action="walk", subject=name)
        for person, name in enumerate(PEOPLE)
        for number in range(2)
    ]
    write_clips(tmp_path / "data.h5", real, kind="captured")
    return tmp_path


@pytest.fixture
def make_file(folder, make_clip):
    """Writes a generated file whose model says what is given; it was trained on data.h5 unless said otherwise."""
    with MotionFile(folder / "data.h5") as file:
        content_hash = file.content_hash()

    def make(name="made.h5", lengths=(20, 20), training_data=content_hash, config="{}", **people):
        told = {"checkpoint": "0" * 64, "seed": 0, "training_data": training_data, "config": config}
        told |= {attribute: json.dumps(names) for attribute, names in people.items()}
        clips = [replace(make_clip(50 + i, num_frames=n, action="walk"), seed=i) for i, n in enumerate(lengths)]
        write_clips(folder / name, clips, kind="generated", provenance=told)
        return folder / name

    return make


def people_of_training(inputs):
    return sorted({clip.subject for clip in inputs.train})


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_training_clips_are_those_of_the_people_whom_the_model_saw(folder, make_file, caplog):
    made = make_file(subjects=["anna", "carl"], held_out=["ben"])
    inputs = read_inputs([made], folder / "data.h5")
    assert people_of_training(inputs) == ["anna", "carl"]
    assert {clip.subject for clip in inputs.held_out} == {"ben"}
    (remark,) = inputs.remarks
    assert remark.startswith("left out of everything")
    assert remark.endswith(": 2 clips of dora")
    assert not warnings(caplog)


def test_without_subjects_everybody_who_is_not_held_out_is_a_training_subject(folder, make_file):
    inputs = read_inputs([make_file(held_out=["ben"])], folder / "data.h5")
    assert people_of_training(inputs) == ["anna", "carl", "dora"]
    assert inputs.remarks == ()


def test_several_files_train_on_all_their_people_and_one_that_does_not_tell_on_everybody(folder, make_file):
    one = make_file("one.h5", subjects=["anna"], held_out=["ben"])
    two = make_file("two.h5", subjects=["carl"], held_out=["ben"])
    silent = make_file("silent.h5", held_out=["ben"])
    assert people_of_training(read_inputs([one, two], folder / "data.h5")) == ["anna", "carl"]
    assert people_of_training(read_inputs([one, silent], folder / "data.h5")) == ["anna", "carl", "dora"]


def test_several_files_are_cut_to_the_shortest_window_of_their_models(folder, make_file):
    def config(window):
        return json.dumps({"data": {"actions": ["walk"], "window": window, "frame_rate": 30.0}})

    files = [make_file(f"{window}.h5", config=config(window), held_out=["ben"]) for window in (48, 32, 64)]
    assert read_inputs(files, folder / "data.h5").window == 32


def test_the_checkpoint_tells_for_files_that_do_not(folder, make_file, monkeypatch):
    checkpoint = folder / "model.safetensors"
    checkpoint.write_bytes(b"model")
    told = {"provenance": json.dumps({"subjects": ["anna", "dora"], "held_out": ["ben"]})}
    monkeypatch.setattr("motiongan.evaluation.inputs.read_metadata", lambda path: told)
    inputs = read_inputs([make_file()], folder / "data.h5", checkpoint=checkpoint)
    assert people_of_training(inputs) == ["anna", "dora"]
    assert inputs.held_out_subjects == ("ben",)


def test_a_held_out_person_whom_the_model_saw_is_warned_of_and_is_no_training_subject(folder, make_file, caplog):
    made = make_file(subjects=["anna", "ben", "carl", "dora"], held_out=[])
    inputs = read_inputs([made], folder / "data.h5", held_out="ben")
    assert people_of_training(inputs) == ["anna", "carl", "dora"]
    assert warnings(caplog) == ["held out, but a model was trained on their clips: ben"]
    assert inputs.remarks == tuple(warnings(caplog))


def test_another_file_with_all_the_models_people_is_remarked_on_only(folder, make_file, caplog):
    made = make_file(training_data="f" * 64, subjects=["anna", "carl", "dora"], held_out=["ben"])
    (remark,) = read_inputs([made], folder / "data.h5").remarks
    assert remark == (
        "--data data.h5 is not the file that the models were trained on (another content hash); their training clips"
        " are taken to be those of anna, carl, dora"
    )
    assert not warnings(caplog)


def test_a_held_out_person_is_not_named_among_the_training_people(folder, make_file):
    made = make_file(training_data="f" * 64, subjects=["anna", "ben", "carl", "dora"])
    _, remark = read_inputs([made], folder / "data.h5", held_out="ben").remarks
    assert remark.endswith("are taken to be those of anna, carl, dora")


def test_another_file_is_warned_of_where_the_models_people_are_unknown(folder, make_file, caplog):
    read_inputs([make_file(training_data="f" * 64, held_out=["ben"])], folder / "data.h5")
    (warning,) = warnings(caplog)
    assert warning.endswith("are taken to be those of everybody who is not held out")


def test_people_of_the_model_without_a_clip_are_warned_of_by_name(folder, make_file, caplog):
    made = make_file(training_data="f" * 64, subjects=["anna", "carl", "dora", "eve"], held_out=["ben"])
    read_inputs([made], folder / "data.h5")
    assert warnings(caplog) == ["--data data.h5 has no clips of eve, on whom the models were trained, too"]


def test_clips_too_short_to_be_measured_are_counted(folder, make_file):
    inputs = read_inputs([make_file(lengths=(3, 20, 4, 1), held_out=["ben"])], folder / "data.h5")
    assert [clip.num_frames for clip in inputs.generated["made"]] == [20, 4]
    assert inputs.remarks == ("2 clips of made.h5 are shorter than 4 frames: left out",)


def test_a_file_of_short_clips_alone_is_refused_with_the_reason(folder, make_file):
    with pytest.raises(MotionganError, match=r"made\.h5: all its clips with an action are shorter than 4 frames"):
        read_inputs([make_file(lengths=(3, 3), held_out=["ben"])], folder / "data.h5")


def test_real_motion_in_the_place_of_generated_motion_is_named(folder):
    clips = read_clips(folder / "data.h5")
    write_clips(folder / "same.h5", clips, kind="captured")
    write_clips(folder / "part.h5", clips[:3], kind="captured")
    inputs = read_inputs([folder / "same.h5", folder / "part.h5"], folder / "data.h5", held_out="ben")
    assert inputs.remarks == (
        "the clips of same.h5 are those of data.h5: real motion is measured against itself",
        "the motion of part.h5 is captured, not generated: it is measured as if it were",
    )
