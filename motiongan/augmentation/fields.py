"""What a sample holds: the fields that a data set or a stream of windows can give, and the joints among them."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.joint_sets import JOINT_SETS, JointSet
from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError, did_you_mean

log = logging.getLogger(__name__)

DEFAULT_FIELDS = ("poses", "trans", "betas", "action")
# Fields that come from a window's place in its file; those of `JOINT_SETS` besides are world positions of joints.
PLACE_FIELDS = ("file", "clip", "start")
KNOWN_FIELDS = (*DEFAULT_FIELDS, "mask", *PLACE_FIELDS, *JOINT_SETS)


def check_fields(fields: Sequence[str], known: Sequence[str] = KNOWN_FIELDS) -> tuple[str, ...]:
    """The fields, each once. Raises MotionganError for an unknown one, and for none."""
    if isinstance(fields, str):
        raise MotionganError(f"fields is the text `{fields}`; give a sequence of names: ({fields!r},)")
    if not fields:
        raise MotionganError(f"fields is empty, so that samples would hold nothing; known: {', '.join(known)}")
    for name in fields:
        if name not in known:
            raise MotionganError(f"unknown field `{name}`{did_you_mean(name, known) or ';'} known: {', '.join(known)}")
    return tuple(dict.fromkeys(fields))


class JointPlacer:
    """Places joint sets on a body; it travels to a worker process as the name of the body's file.

    body        body file; None is the default body
    body_model  whose betas the motion carries: those of another body model are replaced by the mean body
    Raises MotionganError where the body file cannot be read.
    """

    def __init__(self, names: Sequence[str], body: str | Path | None, body_model: str, *, place: str = "") -> None:
        self.sets: tuple[JointSet, ...] = tuple(JOINT_SETS[name] for name in names if name in JOINT_SETS)
        self.path = body
        self.own_betas = True
        self._body: Body | None = None
        if self.sets:
            self._body = load_body(body)
            self.own_betas = self._body.name == body_model
            if not self.own_betas:
                log.warning(
                    "%s: body shapes are for %s: joints are placed on the mean body of %s; give body= a %s body",
                    place,
                    body_model,
                    self._body.name,
                    body_model,
                )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_body": None}

    def place(
        self,
        poses: Float[Tensor, "batch frames 24 3"],
        trans: Float[Tensor, "batch frames 3"],
        betas: Float[Tensor, "batch 10"],
    ) -> dict[str, Float[Tensor, "batch frames points 3"]]:
        """World positions of every joint set, metres; NaN for points that the body does not have."""
        if not self.sets:
            return {}
        if self._body is None:
            self._body = load_body(self.path)
        used = betas[:, None, : self._body.num_betas]
        shapes = used if self.own_betas else torch.zeros_like(used)
        return {joints.name: joints.place(self._body, poses, trans, shapes) for joints in self.sets}
