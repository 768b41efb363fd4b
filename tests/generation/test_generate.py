"""Generation: clip i depends on (seed, i) and its action alone; actions, lengths and bodies are those asked for."""

import dataclasses
import json
import os
import shutil
import time

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from motiongan.body.kinematics import forward_kinematics
from motiongan.body.skeleton import JOINT_NAMES
from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.generation import generate
from motiongan.generation.generate import OWN_MODEL, MotionGenerator, clip_seed, find_model, load_generator
from motiongan.models.checkpoint import file_hash, load_model, save_model
from motiongan.motion.clip import Clip

ACTIONS = ("walk", "squat", "kick_left", "kick_right")


@pytest.fixture(scope="module")
def generator(tiny_model) -> MotionGenerator:
    return load_generator(tiny_model)


def assert_same(first: Clip, second: Clip, tolerance: float = 0.0) -> None:
    for name in ("poses", "trans", "betas"):
        assert_close(getattr(first, name), getattr(second, name), atol=tolerance, rtol=0)
    for name in ("action", "seed", "subject", "source", "frame_rate"):
        assert getattr(first, name) == getattr(second, name), name


# -- clip i depends on (seed, i) and its action alone ------------------------------------------------------------------


def test_fewer_clips_are_the_first_of_more_bit_for_bit(generator):
    five = generator.generate("walk", n=5, seed=3)
    for n in (1, 3):
        for clip, same in zip(generator.generate("walk", n=n, seed=3), five):
            assert_same(clip, same)


def test_the_batch_size_changes_the_last_bits_at_most(generator):
    """Within 1e-4 (radians, metres): matrix products of another size round differently."""
    reference = generator.generate("all", n=6, seed=3, batch=64)
    for batch in (1, 7, 8):
        for clip, same in zip(generator.generate("all", n=6, seed=3, batch=batch), reference, strict=True):
            assert_same(clip, same, tolerance=1e-4)


def test_a_clip_of_an_action_is_the_same_among_others(generator):
    together = generator.generate(["squat", "walk"], n=2, seed=3)
    alone = generator.generate("squat", n=2, seed=3)
    assert [clip.action for clip in together] == ["squat", "squat", "walk", "walk"]
    for clip, same in zip(alone, together):
        assert_same(clip, same)


def test_other_seeds_and_numbers_make_other_motion(generator):
    clips = [*generator.generate("walk", n=3, seed=3), *generator.generate("walk", n=3, seed=4)]
    for i, clip in enumerate(clips):
        for other in clips[:i]:
            assert np.abs(clip.poses - other.poses).max() > 1e-3
            assert np.abs(clip.betas - other.betas).max() > 1e-3
    assert len({clip.seed for clip in clips}) == 6


def test_the_stored_seed_names_the_clip(generator):
    (clip,) = generator.generate("walk", n=1, seed=3)
    assert clip.seed == clip_seed(3, 0)
    assert len({clip_seed(seed, number) for seed in range(50) for number in range(50)}) == 2500
    assert all(0 <= clip_seed(seed, 7) < 2**63 and clip_seed(seed, 7) % 2 == 0 for seed in range(50))


def test_generation_leaves_the_global_random_stream_alone(generator):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    generator.generate("walk", n=2)
    assert torch.equal(torch.rand(3), expected)


# -- what was asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [1, 7, 32, 150])
def test_clips_have_the_length_asked_for(generator, frames):
    for clip in generator.generate("walk", n=2, frames=frames):
        assert clip.poses.shape == (frames, 24, 3)
        assert np.isfinite(clip.poses).all()
        assert np.isfinite(clip.trans).all()


def test_clips_are_as_long_as_their_training_clips_where_no_length_is_asked_for(generator):
    walk, squat = generator.generate("walk,squat")  # walks of 30 frames, squats of 36, and a window of 32
    assert (walk.num_frames, squat.num_frames) == (30, 32) == generator.file.clip_frames[:2]
    assert_close(walk.poses, generator.generate("walk", frames=32)[0].poses[:30], atol=0, rtol=0)


def test_every_action_is_made_and_labelled(generator):
    assert generator.actions == ACTIONS
    assert [clip.action for clip in generator.generate("all", n=2)] == [name for name in ACTIONS for _ in range(2)]
    assert [clip.action for clip in generator.generate("squat,walk")] == ["squat", "walk"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action": "sqat"}, "unknown action `sqat`; did you mean `squat`? known: walk, squat, kick_left, kick_right"),
        ({"n": 0}, "-n is 0, expected at least 1"),
        ({"n": -3}, "-n is -3, expected at least 1"),
        ({"frames": 0}, "frames is 0, expected at least 1"),
        ({"batch": 0}, "batch is 0, expected at least 1"),
        ({"truncation": -0.5}, "truncation is -0.5, expected 0 to 10"),
        ({"truncation": float("nan")}, "truncation is nan, expected 0 to 10"),
        ({"truncation": float("inf")}, "truncation is inf, expected 0 to 10"),
        ({"seed": -1}, "seed is -1, expected 0 to 2^63 - 1"),
        ({"seed": 2**63}, "seed is 9223372036854775808, expected 0 to 2^63 - 1"),
        ({"frames": 10**9}, "frames is 1000000000, expected at most 100000"),
        ({"betas": "maen"}, "unknown betas `maen`; did you mean `mean`?"),
        ({"betas": np.full(10, 1e5, np.float32)}, "betas reach 1e+05, expected within 10 standard deviations"),
        ({"betas": np.full(10, np.nan, np.float32)}, "betas reach nan, expected within 10 standard deviations"),
        ({"betas": np.zeros((2, 16), np.float32)}, "betas has shape (2, 16), expected (10,) or (shapes, 10)"),
    ],
)
def test_what_cannot_be_is_refused_before_any_clip(generator, arguments, message):
    with pytest.raises(MotionganError) as caught:
        generator.stream(**arguments)
    assert str(caught.value).endswith(message)


def test_a_clip_starts_over_the_origin_facing_x(generator):
    body = load_body()
    for clip in generator.generate("all", n=2):
        rest_pelvis = body.skeleton(torch.from_numpy(clip.betas)).rest_joints[0].numpy()
        assert_close(clip.trans[0, :2] + rest_pelvis[:2], np.zeros(2, np.float32), atol=1e-5, rtol=0)


def test_truncation_scales_the_latents_of_the_clips_and_nothing_else(generator, monkeypatch):
    drawn = []
    real = generate.draw_noise
    monkeypatch.setattr(generate, "draw_noise", lambda *given: drawn.append(real(*given)) or drawn[-1])
    whole, half = (generator.generate("walk", n=3, truncation=truncation) for truncation in (1.0, 0.5))
    assert torch.equal(drawn[1].latent, 0.5 * drawn[0].latent)
    assert torch.equal(drawn[1].phases, drawn[0].phases)
    assert any((one.poses != other.poses).any() for one, other in zip(whole, half))


def test_memory_is_asked_for_one_batch_at_a_time(generator, monkeypatch):
    sizes = []
    real = MotionGenerator.motion

    def counted(self, seeds, *rest):
        sizes.append(len(seeds))
        return real(self, seeds, *rest)

    monkeypatch.setattr(MotionGenerator, "motion", counted)
    stream = generator.stream("walk", n=10**9, batch=4)
    for _ in range(9):
        next(stream)
    assert sizes == [4, 4, 4]


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_mean_betas_are_the_training_subjects_mean(generator):
    for clip in generator.generate("walk", n=3, betas="mean"):
        assert_close(clip.betas, generator.file.betas_mean.numpy())


def test_random_betas_have_the_training_subjects_distribution(generator):
    drawn = np.stack([clip.betas for clip in generator.generate("walk", n=400, frames=1)])
    covariance = (generator.file.betas_factor @ generator.file.betas_factor.T).numpy()
    scale = np.sqrt(np.trace(covariance))
    assert np.linalg.norm(drawn.mean(0) - generator.file.betas_mean.numpy()) < 0.15 * scale
    assert np.linalg.norm(np.cov(drawn.T) - covariance) < 0.25 * np.linalg.norm(covariance)


def test_bodies_of_a_gender_are_spread_around_its_typical_one_and_move_alike(generator):
    typical = load_body().typical_betas("female").numpy()
    women = generator.generate("walk", n=200, frames=1, betas="female")
    spread = generator.generate("walk", n=200, frames=1)
    own_mean = generator.file.betas_mean.numpy()
    for woman, other in zip(women, spread, strict=True):
        assert (woman.gender, other.gender) == ("female", "neutral")
        assert_close(woman.betas - typical, other.betas - own_mean, atol=1e-5, rtol=0)
        assert np.array_equal(woman.poses[:, 16:22], other.poses[:, 16:22])  # arms know nothing of the legs' length


def test_given_betas_are_taken_in_turn_and_do_not_change_the_movement(generator):
    shapes = np.stack([np.zeros(10), np.eye(10)[0]]).astype(np.float32)
    clips = generator.generate("walk", n=5, betas=shapes)
    for number, clip in enumerate(clips):
        assert_close(clip.betas, shapes[number % 2])
    for clip, other in zip(clips, generator.generate("walk", n=5, betas="mean"), strict=True):
        # Legs are settled on each body's own length; what they do not reach is the same to the last digits.
        rest = [row for row, name in enumerate(JOINT_NAMES) if row and not name.endswith(("hip", "knee", "ankle"))]
        assert_close(clip.poses[:, rest], other.poses[:, rest], atol=1e-5, rtol=0)
        assert np.abs(clip.poses - other.poses).max() < 0.3


def test_clips_stand_on_the_bones_of_the_model_file(generator):
    """The model file carries the bones: FK on them is FK on the body."""
    import roma

    betas = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    from_file, from_body = generator.file.bones.skeleton(betas), load_body().skeleton(betas)
    rotations = roma.rotvec_to_rotmat(torch.randn(3, 24, 3, generator=torch.Generator().manual_seed(1)))
    trans = torch.zeros(3, 3)
    first, second = (forward_kinematics(rotations, trans, skeleton) for skeleton in (from_file, from_body))
    assert_close(first.joints, second.joints)
    assert_close(first.soles, second.soles)


# -- provenance and finding the model ----------------------------------------------------------------------------------


def test_provenance_names_model_seed_data_and_recipe(generator, tiny_model):
    said = generator.provenance(seed=9)
    assert said["checkpoint"] == file_hash(tiny_model)
    assert said["seed"] == 9
    assert said["training_data"] == generator.file.provenance["training_data"]
    assert json.loads(said["config"])["generator"]["width"] == 16
    assert json.loads(said["config"])["data"]["actions"] == list(generator.actions)
    assert generator.file.config["data"]["actions"] == []  # the recipe took all that its data have
    assert json.loads(said["held_out"]) == generator.file.provenance["held_out"]
    assert json.loads(said["subjects"]) == generator.file.provenance["subjects"]
    assert generator.file.provenance["subjects"]


def test_provenance_says_nothing_of_subjects_that_the_model_file_does_not_tell(tiny_model, tmp_path):
    file = load_model(tiny_model)
    silent = {name: value for name, value in file.provenance.items() if name != "subjects"}
    path = tmp_path / "silent.safetensors"
    save_model(path, dataclasses.replace(file, provenance=silent), file.model.generator.state_dict())
    assert "subjects" not in load_generator(path).provenance(seed=0)


def test_the_newest_finished_run_is_taken(tmp_path, tiny_run):
    now = time.time()
    for age, name in enumerate(("c", "a", "b")):
        model = shutil.copytree(tiny_run, tmp_path / name) / "model.safetensors"
        os.utime(model, (now - 100 * age, now - 100 * age))
    assert find_model(tmp_path) == tmp_path / "c" / "model.safetensors"
    # An unfinished newest and a damaged second newest are passed over.
    newest = load_model(tmp_path / "c" / "model.safetensors")
    tiny = dataclasses.replace(newest, provenance={**newest.provenance, "finished": False})
    save_model(tmp_path / "c" / "model.safetensors", tiny, newest.model.generator.state_dict())
    (tmp_path / "a" / "model.safetensors").write_bytes(b"damaged")
    assert find_model(tmp_path) == tmp_path / "b" / "model.safetensors"
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(
        MotionganError, match=r"no finished run; give --checkpoint .*/[ca]/model\.safetensors"
    ) as caught:
        find_model(tmp_path)
    assert "motiongan train --resume --out" in str(caught.value)
    assert find_model(tmp_path / "nowhere") == OWN_MODEL


def test_the_model_that_comes_along_generates_what_it_says_it_can():
    generator = load_generator()
    assert {"run", "walk", "jump", "kick"} <= set(generator.actions)
    assert generator.path.stat().st_size < 10_000_000
    assert "CMU" in generator.licence
    assert not any(subject.startswith("hdm") for subject in generator.file.provenance["subjects"])
    clips = generator.generate("run", n=4)
    speeds = [np.linalg.norm(clip.trans[-1, :2] - clip.trans[0, :2]) / clip.duration for clip in clips]
    assert max(speeds) > 2.0  # m/s
