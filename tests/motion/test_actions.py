"""The action vocabulary: choosing from it, misspelt names, and sides in a mirror."""

import pytest

from motiongan.errors import MotionganError
from motiongan.motion.actions import mirrored_action, select_actions

KNOWN = ("walk", "run", "squat", "kick_left", "kick_right")


@pytest.mark.parametrize(
    ("wanted", "selected"),
    [
        ("all", list(KNOWN)),
        ("run", ["run"]),
        (" run , walk", ["run", "walk"]),
        (["squat", "run"], ["squat", "run"]),
        ("run,walk,run", ["run", "walk"]),
    ],
)
def test_actions_are_selected_in_the_order_asked_for_and_once(wanted, selected):
    assert select_actions(wanted, KNOWN) == selected


def test_a_misspelt_action_is_answered_with_the_nearest_and_the_list():
    with pytest.raises(MotionganError) as caught:
        select_actions("sqat", KNOWN, "model.safetensors")
    assert str(caught.value) == (
        "model.safetensors: unknown action `sqat`; did you mean `squat`? known: walk, run, squat, kick_left, kick_right"
    )


def test_a_name_near_to_none_is_answered_with_the_list_alone():
    with pytest.raises(MotionganError) as caught:
        select_actions("xyz", KNOWN)
    assert str(caught.value) == "unknown action `xyz`; known: walk, run, squat, kick_left, kick_right"


@pytest.mark.parametrize(
    ("action", "mirrored"),
    [
        ("kick_left", "kick_right"),
        ("right hand throw", "left hand throw"),
        ("LeftJab", "RightJab"),
        ("punch-RIGHT", "punch-LEFT"),
        ("walk", "walk"),
        ("bright", "bright"),
        ("leftover", "leftover"),
    ],
)
def test_a_mirror_swaps_sides_and_nothing_else(action, mirrored):
    assert mirrored_action(action) == mirrored
    assert mirrored_action(mirrored) == action
