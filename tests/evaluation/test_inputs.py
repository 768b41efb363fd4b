"""What is read, and how long the windows are."""

import json
from dataclasses import replace

import pytest

from motiongan.evaluation.inputs import read_inputs
from motiongan.motion.store import MotionFile, write_clips

PEOPLE = ("anna", "ben", "carl", "dora")


@pytest.fixture
def folder(tmp_path, make_clip):
    """data.h5: two walks each of four people."""
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


def test_several_files_are_cut_to_the_shortest_window_of_their_models(folder, make_file):
    def config(window):
        return json.dumps({"data": {"actions": ["walk"], "window": window, "frame_rate": 30.0}})

    files = [make_file(f"{window}.h5", config=config(window), held_out=["ben"]) for window in (48, 32, 64)]
    assert read_inputs(files, folder / "data.h5").window == 32
