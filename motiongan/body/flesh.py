"""The flesh around the bones, as capsules, and how deep limbs pass through the body or each other.

A motion of joints alone says nothing of it, but a hand inside a thigh shows in every picture, and hides what an
annotation calls seen. Capsules about bones stand for flesh in the way of SMPLify (Bogo et al. 2016, arXiv 1607.08128,
section 3.3), here few and rather thin ones: each has its line within the skin of the body that comes along, and a
radius at which most of its surface still is (at rest; of the head, whose neck is thin, less).
"""

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.skeleton import JOINT

GIVE = 0.02  # metres by which flesh gives way before it counts


@dataclass(frozen=True)
class Capsule:
    """All that is within `radius` (metres) of the line from joint `start` to `reach` times the way to joint `end`."""

    start: str
    end: str
    radius: float
    reach: float = 1.0


def _capsules() -> dict[str, Capsule]:
    capsules = {"head": Capsule("neck", "head", 0.065, reach=2.0)}
    for side in ("left_", "right_"):
        capsules |= {
            # The spine's joints lie at the back; between hip and collar a column runs through the middle.
            f"{side}trunk": Capsule(f"{side}hip", f"{side}collar", 0.07),
            f"{side}upper_arm": Capsule(f"{side}shoulder", f"{side}elbow", 0.04),
            f"{side}forearm": Capsule(f"{side}elbow", f"{side}wrist", 0.025),
            f"{side}hand": Capsule(f"{side}wrist", f"{side}hand", 0.02),
            f"{side}thigh": Capsule(f"{side}hip", f"{side}knee", 0.06),
            f"{side}shin": Capsule(f"{side}knee", f"{side}ankle", 0.035),
            f"{side}foot": Capsule(f"{side}ankle", f"{side}foot", 0.025),
        }
    return capsules


def _pairs() -> list[tuple[str, str]]:
    """Parts that can meet, are no neighbours, and do meet when a motion goes wrong."""
    hands = [side + part for side in ("left_", "right_") for part in ("forearm", "hand")]
    body = ["head", *(side + part for side in ("left_", "right_") for part in ("trunk", "thigh", "shin"))]
    arms = list(product(("left_forearm", "left_hand"), ("right_upper_arm", "right_forearm", "right_hand")))
    arms += product(("right_forearm", "right_hand"), ("left_upper_arm",))
    legs = [("left_shin", "right_shin"), ("left_foot", "right_foot")]
    for own, other in (("left_", "right_"), ("right_", "left_")):
        legs += [(f"{own}shin", f"{other}{part}") for part in ("thigh", "foot")]
    return [*product(hands, body), *arms, *legs]


CAPSULES = _capsules()
PAIRS = _pairs()
_STARTS = [JOINT[each.start] for each in CAPSULES.values()]
_ENDS = [JOINT[each.end] for each in CAPSULES.values()]
_REACHES = [each.reach for each in CAPSULES.values()]
_FIRST, _SECOND = ([list(CAPSULES).index(pair[side]) for pair in PAIRS] for side in (0, 1))
_ROOM = [sum(CAPSULES[name].radius for name in pair) - GIVE for pair in PAIRS]


def self_penetration(joints: Float[Tensor, "*batch 24 3"]) -> Float[Tensor, "*batch pairs"]:
    """How deep (metres, 0 or more) the parts of each of `PAIRS` lie within each other, beyond what flesh gives way.

    joints   positions in metres, of an adult
    """
    start = joints[..., _STARTS, :]
    way = (joints[..., _ENDS, :] - start) * joints.new_tensor(_REACHES)[:, None]
    distance = _line_distance(start[..., _FIRST, :], way[..., _FIRST, :], start[..., _SECOND, :], way[..., _SECOND, :])
    return (joints.new_tensor(_ROOM) - distance).clamp(min=0)


def _line_distance(
    start: Float[Tensor, "*batch 3"],
    way: Float[Tensor, "*batch 3"],
    other_start: Float[Tensor, "*batch 3"],
    other_way: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch"]:
    """Shortest distance of two lines that end (Ericson 2005, Real-Time Collision Detection, section 5.1.9).

    Where on the lines the nearest points lie has no gradient: moving them along changes the distance in no first order.
    """
    with torch.no_grad():
        between = start - other_start
        own, other, both = way.square().sum(-1), other_way.square().sum(-1), (way * other_way).sum(-1)
        at_own, at_other = (way * between).sum(-1), (other_way * between).sum(-1)
        spread = own * other - both.square()  # 0 where the lines are parallel: any point of the first will do then
        along = ((both * at_other - at_own * other) / spread.clamp(min=1e-9)).clamp(0, 1)
        other_along = ((both * along + at_other) / other.clamp(min=1e-9)).clamp(0, 1)
        along = ((both * other_along - at_own) / own.clamp(min=1e-9)).clamp(0, 1)
    gap = start + along[..., None] * way - other_start - other_along[..., None] * other_way
    return gap.square().sum(-1).clamp(min=1e-8).sqrt()
