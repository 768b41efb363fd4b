import math

import numpy as np
import pytest
import torch

from motiongan.body.smpl import load_body
from motiongan.evaluation.controls import CONTROLS, Verdict, assess_controls, make_controls, verdicts
from motiongan.evaluation.evaluate import OVERALL, Evaluator
from motiongan.evaluation.facts import control_lines
from motiongan.evaluation.figures import Estimate

ACTIONS = ("walk", "squat")


@pytest.fixture(scope="module")
def people(make_clip):
    """Twelve people to train on and six held out, each with a clip of two actions of unlike speed."""
    made = [
        make_clip(2 * person + number, num_frames=40, speed=1.0 - number, action=action, subject=f"p{person}")
        for person in range(18)
        for number, action in enumerate(ACTIONS)
    ]
    return made[:24], made[24:]


@pytest.fixture(scope="module")
def assessed(people):
    train, held_out = people
    evaluator = Evaluator(train, held_out, actions=ACTIONS, seed=0, body=load_body(), window=40, recognizer_steps=40)
    rows = {name: row[OVERALL] for name, row in assess_controls(evaluator, train, held_out, seed=0).items()}
    return rows | {"real": evaluator.assess_held_out()[OVERALL]}


def test_every_control_comes_out_bad_where_it_is_bad(assessed):
    real = assessed["real"]
    assert set(assessed) == {*CONTROLS, "real"}
    assert real["jerk_ratio"].value == pytest.approx(1, abs=0.3)
    assert assessed["noisy"]["jerk_ratio"].value > 3 * real["jerk_ratio"].value
    assert assessed["shuffled"]["jerk_ratio"].value > 3 * real["jerk_ratio"].value
    assert assessed["frozen"]["jerk_ratio"].value < 0.01
    assert assessed["frozen"]["fid"].value > real["fid"].value
    assert assessed["averaged"]["pose_diversity"].value < 0.8 * real["pose_diversity"].value
    assert assessed["copies"]["nn_ratio"].value == 0
    assert assessed["copies"]["copy_share"].value == 1
    assert assessed["copies"]["fid"].value < real["fid"].value
    assert assessed["copies"]["coverage"].value > real["coverage"].value
    drifting = [name for name, figures in assessed.items() if figures["bone_drift_mm"].value > 0.01]
    assert drifting == ["noisy joints"]
    assert assessed["noisy joints"]["bone_drift_mm"].value > 5
    assert assessed["noisy"]["spectrum"].value > 3 * real["spectrum"].value
    assert assessed["noisy"]["separability"].value > 0.9
    assert assessed["frozen"]["phase_coverage"].value < 0.8 * real["phase_coverage"].value
    assert assessed["copies"]["separability"].value < 0.6


def test_what_should_expose_a_control_is_looked_for_in_its_figures(assessed):
    real = {OVERALL: assessed["real"]}
    found = {name: verdicts(name, {OVERALL: assessed[name]}, real) for name in CONTROLS}
    assert [(name, one.figure) for name, each in found.items() for one in each if not one.shown] == []
    assert not any(one.shown for one in verdicts("noisy", real, real))


def test_a_control_is_shown_by_a_figure_beyond_the_interval_of_the_held_out_row():
    def row(jerk: float, spectrum: float) -> dict[str, dict[str, Estimate]]:
        return {
            OVERALL: {"jerk_ratio": Estimate(jerk, 0.9 * jerk, 1.1 * jerk), "spectrum": Estimate(spectrum, 0.2, 0.4)}
        }

    rows = {"held-out real": row(1.0, 0.3), "control: noisy": row(1.2, 0.39)}
    assert verdicts("noisy", rows["control: noisy"], rows["held-out real"]) == [
        Verdict("jerk_ratio", "above", True),
        Verdict("spectrum", "above", False),
    ]
    assert control_lines(rows) == {
        "noisy": "shown by jerk / train 1.20 (must be above 1.00 [0.90, 1.10]);"
        " not shown by spectrum distance, Hz 0.390 (must be above 0.300 [0.200, 0.400])"
    }
    unknown = {OVERALL: {"jerk_ratio": Estimate(math.nan)}}
    assert not any(one.shown for one in verdicts("noisy", unknown, rows["held-out real"]))


def test_only_copies_compare_with_the_held_out_clips_that_the_other_controls_are_made_of(assessed):
    for figure in ("synthetic_accuracy", "fid_held_out", "coverage_held_out"):
        assert [name for name in CONTROLS if figure in assessed[name]] == ["copies"]


def test_intervals_hold_their_figure_and_tell_how_many_clips_they_are_of(assessed):
    accuracy, coverage = assessed["real"]["accuracy"], assessed["real"]["coverage"]
    assert accuracy.low <= accuracy.value <= accuracy.high
    assert (accuracy.clips, coverage.clips) == (12, 24)  # coverage draws the training clips anew
    copies = assessed["copies"]["copy_share"]
    assert (copies.low, copies.high) == (1, 1)
    assert math.isnan(assessed["real"]["synthetic_accuracy"].value)


def test_controls_are_what_they_say_and_the_same_for_the_same_seed(people):
    train, held_out = people
    made, again = (make_controls(train, held_out, seed=3) for _ in range(2))
    assert all(np.array_equal(a.poses, b.poses) for name in made for a, b in zip(made[name], again[name]))
    assert (made["frozen"][0].poses == held_out[0].poses[0]).all()
    assert sorted(made["shuffled"][0].trans[:, 1]) == sorted(held_out[0].trans[:, 1])
    noise = made["noisy"][0].poses - held_out[0].poses
    assert noise.std() == pytest.approx(0.05, rel=0.1)
    alone = make_controls(train, held_out[:1], seed=0)["averaged"][0]  # the mean of one clip is that clip
    assert torch.allclose(torch.from_numpy(alone.poses), torch.from_numpy(held_out[0].poses), atol=1e-4)
    assert list(make_controls(train, [], seed=0)) == ["copies"]
