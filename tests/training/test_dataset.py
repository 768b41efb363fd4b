"""From a motion file to what training needs: what is used, what is left out and said, and the shapes of the people."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.motion.clip import Clip
from motiongan.motion.store import MotionFile, write_clips
from motiongan.motion.windows import DataConfig
from motiongan.training.dataset import load_training_data

CONFIG = DataConfig(min_frames=20, held_out=("ben",))


@pytest.fixture
def write(tmp_path):
    def write(clips: list[Clip], **fields: object) -> Path:
        path = tmp_path / "data.h5"
        write_clips(path, clips, kind="sample", licence="CC0-1.0", **fields)
        return path

    return write


def test_labelled_clips_long_enough_are_split_by_subject(write, make_clip, caplog):
    path = write(
        [
            make_clip(0, 40, action="walk", subject="anna"),
            make_clip(1, 40, action="squat", subject="anna"),
            make_clip(2, 40, action="walk", subject="ben"),
            make_clip(3, 40, action="throw", subject="ben"),
            make_clip(4, 19, action="walk", subject="anna"),
            make_clip(5, 40, action=None, subject="anna"),
            make_clip(6, 1, action="squat", subject="ben"),
        ]
    )
    with caplog.at_level(logging.WARNING):
        data = load_training_data(path, CONFIG)
    assert [(clip.subject, clip.action) for clip in data.train] == [("anna", "walk"), ("anna", "squat")]
    assert [(clip.subject, clip.action) for clip in data.held_out] == [("ben", "walk")]
    assert data.held_out_subjects == ("ben",)
    assert data.actions == ("walk", "squat")
    assert (data.frame_rate, data.body_model, data.licence) == (30.0, "motiongan", "CC0-1.0")
    with MotionFile(path) as file:
        assert data.content_hash == file.content_hash()
    said = " ".join(caplog.messages)
    assert "1 clips without an action are left out" in said
    assert "shorter than 20 frames are left out: walk 1, squat 1" in said
    assert "no training clips of throw" in said


def test_only_the_wanted_actions_are_used(write, make_clip):
    path = write([make_clip(seed, 40, action=action) for seed, action in enumerate(("walk", "run", "squat"))])
    config = DataConfig(min_frames=20, actions=("squat", "run"), held_out_share=0.0)
    assert load_training_data(path, config).actions == ("squat", "run")
    with pytest.raises(MotionganError, match="unknown action `sqat`; did you mean `squat`"):
        load_training_data(path, dataclasses.replace(config, actions=("sqat",)))


def test_other_frame_rates_are_resampled_before_lengths_are_judged(write, make_clip):
    clips = [make_clip(0, 100, frame_rate=100.0), make_clip(1, 60, frame_rate=100.0)]  # 1 s and 0.6 s
    data = load_training_data(write(clips), DataConfig(min_frames=20, held_out_share=0.0))
    assert [(clip.num_frames, clip.frame_rate) for clip in data.train] == [(30, 30.0)]
    with pytest.raises(MotionganError, match=r"no labelled clip has 200 frames or more"):
        load_training_data(write(clips, force=True), DataConfig(min_frames=200))


def test_betas_of_another_body_are_dropped_with_a_notice(write, make_clip, caplog):
    clips = [make_clip(seed, 40, betas=np.full(10, 2.0)) for seed in range(2)]
    with caplog.at_level(logging.WARNING):
        data = load_training_data(write(clips, body_model="smplh"), DataConfig(held_out_share=0.0))
    assert "its betas belong to smplh and are dropped; give that body with --body" in " ".join(caplog.messages)
    assert not any(clip.betas.any() for clip in data.train)
    assert data.body_model == "motiongan"


def test_every_clip_moves_on_the_bones_of_its_own_person(write, make_clip):
    shapes = [np.zeros(10), np.eye(10)[0] * 2]
    clips = [make_clip(seed, 40, betas=shapes[seed % 2]) for seed in range(4)]
    data = load_training_data(write(clips), DataConfig(held_out_share=0.0))
    body = load_body()
    for clip, skeleton in zip(data.train, data.skeletons(), strict=True):
        assert_close(skeleton.rest_joints, body.skeleton(torch.from_numpy(clip.betas)).rest_joints)
    assert_close(data.mean_skeleton().rest_joints, body.skeleton(torch.eye(10)[0]).rest_joints)


def test_drawn_shapes_have_the_mean_and_the_spread_of_the_people_not_of_the_clips(write, make_clip):
    random = np.random.default_rng(0)
    people = random.normal(size=(6, 10)).astype(np.float32)
    clips = [make_clip(0, 40, subject=f"p{p}", betas=people[p]) for p in range(6) for _ in range(1 + 3 * (p == 0))]
    data = load_training_data(write(clips), DataConfig(held_out_share=0.0))
    assert_close(data.betas_mean.numpy(), people.mean(0), atol=1e-5, rtol=0)
    covariance = (data.betas_factor @ data.betas_factor.T).numpy()
    assert_close(covariance, np.cov(people.T).astype(np.float32), atol=1e-4, rtol=0)


def test_one_person_has_one_shape(write, make_clip):
    clips = [make_clip(seed, 40, subject="anna", betas=np.full(10, 0.5)) for seed in range(2)]
    data = load_training_data(write(clips), DataConfig())
    assert_close(data.betas_mean, torch.full((10,), 0.5))
    assert not data.betas_factor.any()
