"""Action recognition: what a classifier learns from generated clips alone, tested on real held-out people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motiongan.body.smpl import Body
from motiongan.evaluation.recognizer import NAME, train_recognizer
from motiongan.evaluation.windows import pose_windows
from motiongan.motion.clip import Clip
from motiongan.utility.rows import ALL, FEW, ONLY, SYNTHETIC, Row
from motiongan.utility.trainings import content_hash

METHOD = "motiongan-recognition-1"  # raise the number with any change to training or test that moves a figure
WINDOW = 64  # frames


@dataclass(frozen=True, eq=False)
class Labelled:
    """Windows as the recognizer sees them, their actions, and the clip that each is of."""

    inputs: Float[Tensor, "windows frames channels"]
    mask: Bool[Tensor, "windows frames"]
    action_ids: Int64[Tensor, "windows"]
    clip_ids: Int64[Tensor, "windows"]

    @cached_property
    def content_hash(self) -> str:
        """Of all that they hold."""
        return content_hash(self.inputs, self.mask, self.action_ids, self.clip_ids)


@dataclass(frozen=True, eq=False)
class Recognition:
    """A `Task` of `motiongan.utility.trainings`: all that the trainings share.

    The recognizer is that of `motiongan evaluate`, which mirrors, crops and adds noise in every row alike. Where a row
    has two parts, the smaller one is repeated until both have about equally many windows.
    sources   windows by the names that rows use
    """

    sources: Mapping[str, Labelled]
    test: Labelled
    actions: tuple[str, ...]
    steps: int

    def train(self, row: Row, seed: int) -> Float[Tensor, "clips"]:
        """Share of each test clip's windows that are recognised."""
        inputs, mask, labels = _joined([self.sources[name] for name in (row.real, row.extra) if name is not None])
        recognizer = train_recognizer(inputs, mask, labels, self.actions, seed=seed, steps=self.steps)
        with torch.no_grad():
            right = recognizer(self.test.inputs, self.test.mask).argmax(1) == self.test.action_ids
        total = torch.bincount(self.test.clip_ids, weights=right.double())
        return total / torch.bincount(self.test.clip_ids)

    def facts(self, row: Row) -> dict[str, Any]:
        """All that the row's results depend on; windows by their hash."""
        return {
            "method": [METHOD, NAME],
            "actions": list(self.actions),
            "steps": self.steps,
            "real": None if row.real is None else self.sources[row.real].content_hash,
            "extra": None if row.extra is None else self.sources[row.extra].content_hash,
            "test": self.test.content_hash,
        }


def label_windows(clips: Sequence[Clip], body: Body, actions: Sequence[str], *, overlap: bool) -> Labelled:
    """The clips' windows, for training with overlap."""
    posed = pose_windows(clips, body, actions=actions, frames=WINDOW, overlap=overlap)
    return Labelled(posed.inputs(), posed.mask, posed.action_ids, posed.clip_ids)


def recognition_rows(*, synthetic: bool, controls: Sequence[str] = ()) -> list[Row]:
    """The rows of the task, in the order of the table."""
    rows = [Row(FEW, "few")]
    if synthetic:
        rows += [Row(ONLY, None, "synthetic"), Row(SYNTHETIC, "few", "synthetic")]
    rows += [Row(f"control: {control} only", None, control) for control in controls if control != "copies"]
    return [*rows, Row(ALL, "all")]


def _joined(parts: Sequence[Labelled]) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, mask and labels of all parts together, each repeated as often as fits into the largest."""
    most = max(len(part.mask) for part in parts)
    inputs, masks, labels = [], [], []
    for part in parts:
        times = max(1, round(most / len(part.mask)))
        inputs.append(part.inputs.repeat(times, 1, 1))
        masks.append(part.mask.repeat(times, 1))
        labels.append(part.action_ids.repeat(times))
    return torch.cat(inputs), torch.cat(masks), torch.cat(labels)
