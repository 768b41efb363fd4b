"""Which checkpoint is kept, and what is told as trouble: from figures made up for the case."""

import math

import pytest

from motiongan.losses.adversarial import ADVERSARIAL_LOSSES
from motiongan.training.assessment import Assessment, Standing, log_figures

RELATIVISTIC = ADVERSARIAL_LOSSES["relativistic"]


def assessed(fid: float, can_choose: bool = True, **figures: float) -> Assessment:
    return Assessment({"fid": fid, **figures}, can_choose=can_choose)


def by_action(name: str, **values: float) -> Assessment:
    return Assessment({"fid": 1.0}, {action: {name: value} for action, value in values.items()})


# -- the score ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"fid": math.e}, 1.0),
        ({"fid": 1.0, "pose_diversity": 1.0, "nn_ratio": 1.0}, 0.0),
        ({"fid": 1.0, "pose_diversity": 0.5, "nn_ratio": 0.25}, math.log(2) + math.log(4)),
        ({"fid": 1.0, "pose_diversity": 1.7, "nn_ratio": 3.0}, 0.0),  # more than real motion has gains nothing
    ],
)
def test_the_score_adds_logarithms_of_what_is_too_much_or_too_little(figures, expected):
    assert Assessment(figures).score == pytest.approx(expected)


def test_a_collapsed_checkpoint_scores_worse_than_a_varied_one_with_a_higher_fid():
    assert assessed(4.0, pose_diversity=0.2).score > assessed(6.0, pose_diversity=0.8).score


def test_the_log_holds_finite_figures_only_with_those_of_actions_under_their_names():
    shown = log_figures(Assessment({"fid": 2.0, "accuracy": math.nan}, {"walk": {"nn_ratio": 0.9}}))
    assert shown == {
        "assessment/fid": 2.0,
        "assessment/nn_ratio/walk": 0.9,
        "assessment/score": pytest.approx(math.log(2)),
    }
    assert "assessment/score" not in log_figures(Assessment({}))


# -- which one is kept -------------------------------------------------------------------------------------------------


def kept(*fids: float) -> list[int]:
    """The step kept after each of as many assessments, equally far apart, the last one at the end."""
    standing, seen = Standing(), []
    for number, fid in enumerate(fids, 1):
        standing.take(assessed(fid), number, len(fids))
        seen.append(standing.kept_step)
    return seen


def test_the_best_of_the_last_three_fifths_is_kept_and_nothing_before():
    assert kept(1.0, 1.0, 1.0, 5.0, 4.0, 6.0, 3.0, 9.0, 8.0, 7.0) == [0, 0, 0, 4, 5, 5, 7, 7, 7, 7]


def test_of_two_within_a_fiftieth_the_later_is_kept_but_ties_do_not_add_up():
    assert kept(9, 9, 9, 1.0, 1.015, 1.03, 1.0, 1.019, 2.0, 2.0) == [0, 0, 0, 4, 5, 5, 7, 8, 8, 8]


def test_nothing_is_kept_by_too_few_held_out_clips_or_by_a_fid_that_is_none():
    standing = Standing()
    assert not standing.take(assessed(1.0, can_choose=False), 10, 10)
    assert not standing.take(assessed(math.nan), 10, 10)
    assert not standing.take(Assessment({}), 10, 10)
    assert standing.kept_step == 0


# -- trouble -----------------------------------------------------------------------------------------------------------


def told(assessment: Assessment, pairs_right: float = 0.8, game: str = "relativistic", step: int = 50) -> str:
    return Standing().diagnose(assessment, pairs_right, ADVERSARIAL_LOSSES[game], step, 100)


def test_a_healthy_run_is_told_nothing():
    assert told(by_action("pose_diversity", walk=0.8, squat=0.36)) == ""
    assert told(assessed(5.0, nn_ratio=0.9)) == ""


def test_a_run_has_collapsed_where_half_of_its_actions_have_no_variety_and_the_worst_is_named_first():
    found = told(by_action("pose_diversity", walk=0.8, squat=0.12, kick=0.05, run=0.9))
    assert found.startswith("collapsed: ")
    assert "kick 0.05, squat 0.12 (" in found
    assert "walk" not in found
    assert "\n" not in found


def test_a_few_actions_without_variety_are_named_but_no_collapse_of_the_run():
    found = told(by_action("pose_diversity", walk=0.8, squat=0.12, run=0.9))
    assert found.startswith("little variety: nearly one and the same clip of squat 0.12 (")


def test_no_more_than_four_collapsed_actions_are_named():
    found = told(by_action("pose_diversity", **{f"a{number}": 0.01 * number for number in range(7)}))
    assert "a0 0.00, a1 0.01, a2 0.02, a3 0.03 and 3 more" in found


def test_a_young_run_is_alike_in_all_clips_and_that_is_no_collapse():
    assert told(by_action("pose_diversity", walk=0.05), step=19) == ""
    assert told(by_action("pose_diversity", walk=0.05), step=20)


def test_a_fid_of_three_times_the_lowest_is_a_divergence():
    standing = Standing()
    fids = (9.0, 4.0, 11.9, 12.1, 5.0)
    found = [standing.diagnose(assessed(fid), 0.8, RELATIVISTIC, 50, 100) for fid in fids]
    assert [bool(each) for each in found] == [False, False, False, True, False]
    assert found[3] == "diverging: FID 12.1, which was 4 before"
    assert standing.trouble == ""  # it has recovered


def test_three_times_a_tiny_fid_is_chance():
    standing = Standing()
    found = [standing.diagnose(assessed(fid), 0.8, RELATIVISTIC, 50, 100) for fid in (0.1, 1.4, 1.6)]
    assert [bool(each) for each in found] == [False, False, True]


def test_motion_that_cannot_be_measured_is_a_divergence():
    assert told(Assessment({"fid": math.inf})).startswith("diverging: ")


def test_copies_are_told():
    assert "0.31 times as far" in told(assessed(1.0, nn_ratio=0.31))
    assert "0.31 times as far" in told(assessed(1.0, nn_ratio=0.31, nn_spacing=0.4))
    assert not told(assessed(1.0, nn_ratio=0.31, nn_spacing=1.1))  # the held-out people are far from everybody


def test_a_discriminator_that_is_always_right_has_overtaken_unless_it_is_a_critic():
    for game in ("relativistic", "minimax", "hinge", "lsgan"):
        assert told(assessed(1.0), pairs_right=0.999, game=game).startswith("overtaken: ")
        assert not told(assessed(1.0), pairs_right=0.99, game=game)
    for critic in ("wgan", "wgan-gp", "began"):
        assert not told(assessed(1.0), pairs_right=1.0, game=critic)
