import math
from dataclasses import replace

import numpy as np
import pytest
import roma
import torch
from torch.testing import assert_close

from motiongan.body.skeleton import JOINT
from motiongan.errors import MotionganError
from motiongan.evaluation.evaluate import Evaluator
from motiongan.evaluation.figures import OVERALL, action_table, overall_table
from motiongan.evaluation.windows import pose_windows
from motiongan.motion.clip import Clip
from motiongan.motion.features import UPRIGHT

ACTIONS = ("wave", "kick")
RATE = 30.0


@pytest.fixture(scope="module")
def trans_height(body) -> float:
    """Root translation that puts the lowest sole point of the upright mean body on the ground.

    The root turns about the rest pelvis, so the soles hang below the pelvis as far as at rest.
    """
    skeleton = body.skeleton(torch.zeros(10))
    pelvis = skeleton.rest_joints[0]
    return (pelvis[1] - skeleton.rest_soles[:, 1].min() - pelvis[2]).item()


def made_up_clip(action: str, seed: int, height: float, frames: int = 40, *, in_phase: bool = False) -> Clip:
    """Somebody who stands, and moves an arm or a knee back and forth, with his own amplitude, tempo and phase."""
    draw = np.random.default_rng(seed)
    joint, axis, size = {"wave": ("left_shoulder", 1, 0.8), "kick": ("right_knee", 0, 0.6)}[action]
    phase = 0.0 if in_phase else draw.uniform(0, 2 * math.pi)
    wave = np.sin(2 * math.pi * draw.uniform(0.9, 1.1) * np.arange(frames) / RATE + phase)
    poses = np.zeros((frames, 24, 3), dtype=np.float32)
    poses[:, 0] = roma.rotmat_to_rotvec(UPRIGHT).numpy()
    poses[:, JOINT[joint], axis] = size * draw.uniform(0.8, 1.2) * (wave + (1 if joint == "right_knee" else 0))
    trans = np.zeros((frames, 3), dtype=np.float32)
    trans[:, 2] = height
    return Clip(poses=poses, trans=trans, frame_rate=RATE, action=action, source=f"{action} {seed}")


def clips(count: int, first_seed: int, height: float, **settings: object) -> list[Clip]:
    return [made_up_clip(action, first_seed + i, height, **settings) for action in ACTIONS for i in range(count)]


@pytest.fixture(scope="module")
def evaluator(body, trans_height) -> Evaluator:
    return Evaluator(
        clips(24, 0, trans_height),
        clips(12, 500, trans_height),
        actions=ACTIONS,
        seed=0,
        body=body,
        window=40,
        recognizer_steps=120,
    )


def test_windows_cover_long_clips_and_keep_short_ones_whole(body, trans_height):
    made = [made_up_clip("wave", 0, trans_height, frames) for frames in (20, 40, 70, 55)]
    windows = pose_windows(made, body, actions=ACTIONS, frames=40)
    # 70 = 40 + 30; 55 = 40 and a rest of 15 frames, half a second: left out
    assert windows.mask.sum(1).tolist() == [20, 40, 40, 30, 40]
    assert len(pose_windows(made, body, actions=ACTIONS, frames=40, overlap=True)) > 5
    alone = pose_windows([made[2].crop(40, 70)], body, actions=ACTIONS, frames=40)
    assert_close(windows.joints[3, :30], alone.joints[0, :30])
    assert windows.soles[..., 2].abs().min() < 0.005


def test_the_held_out_row_of_like_clips_is_near_perfect(evaluator):
    row = evaluator.held_out[OVERALL]
    assert row["accuracy"] == 1
    assert row["pose_diversity"] == pytest.approx(1, abs=0.25)
    assert row["jerk_ratio"] == pytest.approx(1, abs=0.2)
    assert row["nn_ratio"] == pytest.approx(1)
    assert row["air_share"] == 0
    assert evaluator.held_out["wave"]["skate_share"] == 0
    assert set(evaluator.held_out) == {OVERALL, *ACTIONS}


def test_copies_of_training_clips_show_in_the_nearest_neighbours_only(evaluator, trans_height):
    row = evaluator.measure(clips(12, 0, trans_height))[OVERALL]
    assert row["nn_ratio"] < 0.1
    assert row["copy_share"] > 0.9
    assert row["fid"] < 3 * evaluator.held_out[OVERALL]["fid"]
    honest = evaluator.measure(clips(12, 900, trans_height))[OVERALL]
    assert honest["nn_ratio"] == pytest.approx(1, abs=0.5)


def test_a_collapsed_generator_shows_in_pose_diversity(evaluator, trans_height):
    row = evaluator.measure(clips(12, 900, trans_height, in_phase=True))[OVERALL]
    assert row["pose_diversity"] < 0.5


def test_swapped_labels_show_in_accuracy_and_noise_in_fid_and_jerk(evaluator, trans_height):
    fresh = clips(12, 900, trans_height)
    swapped = [replace(clip, action=ACTIONS[1 - ACTIONS.index(clip.action or "")]) for clip in fresh]
    assert evaluator.measure(swapped)[OVERALL]["accuracy"] < 0.1
    draw = np.random.default_rng(0)
    noisy = [
        replace(clip, poses=clip.poses + draw.normal(0, 0.05, clip.poses.shape).astype(np.float32)) for clip in fresh
    ]
    row = evaluator.measure(noisy)[OVERALL]
    assert row["fid"] > 2 * evaluator.held_out[OVERALL]["fid"]
    assert row["jerk_ratio"] > 3


def test_sunk_and_hovering_bodies_are_measured_in_their_units(evaluator, trans_height):
    sunk = evaluator.measure(clips(6, 900, trans_height - 0.05))[OVERALL]
    level = evaluator.measure(clips(6, 900, trans_height))[OVERALL]
    assert sunk["penetration_mm"] - level["penetration_mm"] == pytest.approx(50, abs=5)
    hovering = evaluator.measure(clips(6, 900, trans_height + 0.4))[OVERALL]
    assert hovering["air_share"] == 1
    assert hovering["floating_share"] == 1
    # The kicking shank moves the centre of mass a little; gravity is missing.
    assert hovering["flight_error"] == pytest.approx(9.81, abs=0.3)


def test_what_hangs_on_a_recognizer_is_the_mean_over_several_and_not_of_the_order_of_clips(body, trans_height):
    def evaluate(seed: int, recognizers: int, order: int = 1) -> Evaluator:
        train, held_out = clips(8, 0, trans_height)[::order], clips(4, 500, trans_height)
        settings = {"seed": seed, "recognizers": recognizers, "body": body, "window": 40, "recognizer_steps": 20}
        return Evaluator(train, held_out, actions=ACTIONS[::order], **settings)

    made = clips(4, 900, trans_height)
    together, turned = (evaluate(3, 2, order).measure(made) for order in (1, -1))
    apart = [evaluate(seed, 1).measure(made) for seed in (3, 4)]
    for name in ("fid", "kid", "fid_held_out", "diversity", "coverage", "accuracy"):
        assert together[OVERALL][name] == pytest.approx(
            (apart[0][OVERALL][name] + apart[1][OVERALL][name]) / 2, rel=1e-4
        )
        assert together[OVERALL][name] == pytest.approx(turned[OVERALL][name], rel=1e-3)
    assert apart[0][OVERALL]["fid"] != pytest.approx(apart[1][OVERALL]["fid"], rel=0.01)
    assert together["kick"]["multimodality"] == pytest.approx(turned["kick"]["multimodality"], rel=1e-3)
    row = evaluate(3, 2).assess(made)[OVERALL]["fid"]
    assert row.low < min(one[OVERALL]["fid"] for one in apart)
    assert row.high > max(one[OVERALL]["fid"] for one in apart)


def test_the_same_call_gives_the_same_figures(evaluator, trans_height):
    made = clips(20, 900, trans_height)
    first, second = evaluator.measure(made), evaluator.measure(made)
    assert first.keys() == second.keys()
    for name, figures in first.items():
        assert figures == pytest.approx(second[name], rel=0, abs=0, nan_ok=True)


def test_an_action_is_measured_without_held_out_clips_too(body, trans_height):
    held_out = [clip for clip in clips(4, 500, trans_height) if clip.action == "wave"]
    evaluator = Evaluator(
        clips(6, 0, trans_height), held_out, actions=ACTIONS, seed=0, body=body, window=40, recognizer_steps=20
    )
    made = evaluator.measure(clips(4, 900, trans_height))
    assert set(evaluator.held_out) == {OVERALL, "wave"}
    assert math.isnan(made["kick"]["nn_ratio"])
    assert made["kick"]["penetration_mm"] >= 0
    assert math.isfinite(made[OVERALL]["fid"])
    # Overall compares like with like: the one action that both have.
    assert made[OVERALL]["windows"] == 4
    assert made[OVERALL]["low_toe_share"] == made["wave"]["low_toe_share"]


def test_an_action_that_nobody_held_out_performs_is_compared_with_the_training_clips(body, trans_height):
    held_out = [clip for clip in clips(4, 500, trans_height) if clip.action == "wave"]
    evaluator = Evaluator(
        clips(16, 0, trans_height), held_out, actions=ACTIONS, seed=0, body=body, window=40, recognizer_steps=40
    )
    honest = evaluator.measure(clips(8, 900, trans_height))
    waves = [replace(clip, action="kick") for clip in clips(8, 950, trans_height) if clip.action == "wave"]
    floor = evaluator.assess_training()["kick"]
    for name in ("kid", "precision", "recall", "coverage"):
        assert math.isfinite(honest["kick"][name])
        assert math.isfinite(floor[name].value)
    assert evaluator.measure(waves)["kick"]["kid"] > honest["kick"]["kid"]
    assert floor["coverage"].clips == 8  # one half against the other
    assert "kid_held_out" not in honest["kick"]
    assert len(evaluator.training_distances(clips(8, 900, trans_height))) == 8  # of the waves
    # What is overall stays with the action that the held-out people have.
    assert honest[OVERALL]["coverage"] == honest["wave"]["coverage"]
    assert honest[OVERALL]["kid"] == pytest.approx(honest["wave"]["kid"])
    assert evaluator.assess(clips(8, 900, trans_height), teach=False)[OVERALL]["diversity"].clips == 8


def test_the_training_row_names_one_half_by_a_recognizer_taught_on_the_other(evaluator):
    named = evaluator.assess_training()[OVERALL]["synthetic_accuracy_train"]
    assert named.value > 0.9  # two unlike actions
    assert named.clips == 24  # of 24 each, half
    assert evaluator.assess_held_out()[OVERALL]["synthetic_accuracy_train"].clips == 48


def test_an_action_whose_clips_are_too_short_to_compare_leaves_the_others_their_near_copies(evaluator, trans_height):
    waves = [clip for clip in clips(8, 900, trans_height) if clip.action == "wave"]
    kicks = [made_up_clip("kick", seed, trans_height, frames=10) for seed in range(950, 954)]  # of 0.8 s they have 0.3
    row = evaluator.assess([*waves, *kicks], teach=False)
    assert math.isnan(row["kick"]["copy_share"].value)
    assert row[OVERALL]["copy_share"] == row["wave"]["copy_share"]


def test_mixed_frame_rates_are_refused_in_one_line(body, trans_height):
    mixed = [made_up_clip("wave", 0, trans_height), replace(made_up_clip("wave", 1, trans_height), frame_rate=60.0)]
    with pytest.raises(MotionganError, match=r"30\.0, 60\.0.*--frame-rate"):
        pose_windows(mixed, body, actions=ACTIONS, frames=40)


def test_the_tables_show_each_figure_in_its_unit_and_a_dash_where_there_is_none():
    results = {
        "made": {OVERALL: {"accuracy": 0.875, "fid": 2.345}, "wave": {"accuracy": 0.5, "flight_error": math.nan}},
        "held-out": {OVERALL: {"accuracy": 1.0}},
    }
    overall = overall_table(results).splitlines()
    assert overall[0] == "| figure | made | held-out |"
    assert "| accuracy | 87.5% | 100.0% |" in overall
    assert "| FID | 2.35 | - |" in overall or "| FID | 2.34 | - |" in overall
    rows = action_table(results).splitlines()
    assert len(rows) == 3
    assert rows[2].startswith("| wave | made | - | - | 50.0% | - |")


def test_held_out_clips_that_are_copies_give_no_nearness_to_compare_with(body, trans_height):
    train = clips(4, 0, trans_height)
    evaluator = Evaluator(train, train, actions=ACTIONS, seed=0, body=body, window=40, recognizer_steps=20)
    made = evaluator.measure(clips(4, 900, trans_height))["wave"]
    assert math.isnan(made["nn_ratio"])
    assert made["nn_mm"] > 0
