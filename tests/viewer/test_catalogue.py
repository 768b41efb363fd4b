import dataclasses

import pytest

from motiongan.errors import MotionganError
from motiongan.motion.store import MotionFile, MotionWriter, write_clips
from motiongan.viewer.catalogue import NO_LABEL, Catalogue


@pytest.fixture
def catalogue(motion_file):
    with MotionFile(motion_file) as file:
        yield Catalogue(file)


def test_actions_come_with_their_numbers_of_clips(catalogue):
    assert list(catalogue.counts().items()) == [("squat", 1), ("walk", 2), (NO_LABEL, 1)]


def test_an_action_selects_its_clips(catalogue):
    assert catalogue.select().tolist() == [0, 1, 2, 3]
    assert catalogue.select("walk").tolist() == [0, 2]
    assert catalogue.select("squat").tolist() == [1]
    assert catalogue.select(NO_LABEL).tolist() == [3]


def test_a_text_selects_by_person_and_source_in_any_case(catalogue):
    assert catalogue.select(None, "BEN").tolist() == [2, 3]
    assert catalogue.select(None, " up 1 ").tolist() == [1]
    assert catalogue.select("walk", "anna").tolist() == [0]
    assert catalogue.select(None, "carl").tolist() == []


def test_a_number_selects_by_seed(tmp_path, make_clip):
    path = tmp_path / "generated.h5"
    provenance = {"checkpoint": "0", "seed": 1, "training_data": "0", "config": "{}"}
    clips = [dataclasses.replace(make_clip(num_frames=3, subject="x"), seed=seed) for seed in (7, 70, 700)]
    write_clips(path, clips, kind="generated", provenance=provenance)
    with MotionFile(path) as file:
        assert Catalogue(file).select(None, "70").tolist() == [1]


def test_clips_without_frames_are_not_listed(tmp_path, make_clip):
    path = tmp_path / "some_empty.h5"
    write_clips(path, [make_clip().crop(0, 0), make_clip(num_frames=2)], kind="sample")
    with MotionFile(path) as file:
        catalogue = Catalogue(file)
        assert catalogue.select().tolist() == [1]
        assert catalogue.counts() == {"walk": 1}


def test_a_file_that_holds_nothing_to_show_is_refused(tmp_path):
    path = tmp_path / "empty.h5"
    with MotionWriter(path, frame_rate=30.0, kind="sample"):
        pass
    with MotionFile(path) as file, pytest.raises(MotionganError, match=r"empty\.h5: holds no clips to show"):
        Catalogue(file)
