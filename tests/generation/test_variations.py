"""Variations of clips: how many, whose, labelled how, and from what they are drawn."""

import numpy as np
import pytest
import torch

from motiongan.athletes.spec import load_spec
from motiongan.athletes.synthesis import synthesize
from motiongan.body.smpl import Body
from motiongan.evaluation.clip_scores import ClipScorer
from motiongan.generation.variations import FASTEST, vary
from motiongan.motion.clip import Clip

ACTIONS = ("walk", "squat", "kick")


@pytest.fixture(scope="module")
def people(body) -> list[Clip]:
    """Two clips of each of three actions, of two people."""
    return list(synthesize(load_spec(), body, clips_per_action=2, subjects=2, seed=0, actions=ACTIONS))


def variations(body: Body, clips: list[Clip], n: int = 2, seed: int = 0, **options: bool) -> list[Clip]:
    skeletons = [body.skeleton(torch.from_numpy(clip.betas)) for clip in clips]
    return list(vary(clips, skeletons, n, seed=seed, **options))


def test_each_clip_has_its_variations_on_its_body_under_its_label(body, people):
    made = variations(body, people, n=3)
    assert len(made) == 18
    for number, one in enumerate(made):
        clip = people[number // 3]
        assert (one.action, one.subject, one.gender) == (clip.action, clip.subject, clip.gender)
        assert one.source == f"variation of {clip.source}"
        np.testing.assert_array_equal(one.betas, clip.betas)
        assert clip.num_frames / FASTEST - 1 <= one.num_frames <= clip.num_frames * FASTEST + 1
        assert one.is_finite
    assert len({one.seed for one in made}) == len(made)


@pytest.mark.parametrize("recombine", [False, True])
def test_equal_seeds_give_equal_variations_and_others_do_not(body, people, recombine):
    first = variations(body, people, recombine=recombine)
    for one, same in zip(first, variations(body, people, recombine=recombine), strict=True):
        np.testing.assert_array_equal(one.poses, same.poses)
        np.testing.assert_array_equal(one.trans, same.trans)
    other = variations(body, people, seed=1, recombine=recombine)
    assert not any(np.array_equal(one.poses, same.poses) for one, same in zip(first, other))


def test_variations_are_as_sound_as_their_clips(body, people):
    scorer = ClipScorer(body, ACTIONS, 64)
    standing = [clip for clip in people if clip.action != "walk"]
    real, made = (
        [scores["off_balance"] for scores in scorer(clips)] for clips in (standing, variations(body, standing))
    )
    assert np.mean(made) < np.mean(real) + 0.02
    assert all(scores["penetration"] < 0.005 for scores in scorer(variations(body, people, recombine=True)))


def test_a_side_in_the_label_is_turned_with_the_motion_only_where_both_sides_are_known(body, people):
    kicks = [clip for clip in people if clip.action == "kick"]
    right = [Clip(**{**vars(clip), "action": "kick_right"}) for clip in kicks]
    assert {one.action for one in variations(body, right, n=6)} == {"kick_right"}
    both = [*right, *(Clip(**{**vars(clip), "action": "kick_left"}) for clip in kicks)]
    made = variations(body, both, n=6)
    assert {one.action for one in made[:12]} == {"kick_right", "kick_left"}


def test_the_only_clip_of_an_action_is_varied_in_speed_and_side_or_with_itself(body, people):
    [plain] = variations(body, people[:1], n=1)
    assert abs(plain.num_frames - people[0].num_frames) <= 0.1 * people[0].num_frames + 1
    [recombined] = variations(body, people[:1], n=1, recombine=True)
    assert not np.allclose(recombined.poses, plain.poses, atol=0.05)
