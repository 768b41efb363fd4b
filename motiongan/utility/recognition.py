"""Action recognition: what a classifier learns from generated clips alone, tested on real held-out people."""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.smpl import Body
from motiongan.evaluation.recognizer import train_recognizer
from motiongan.evaluation.windows import PosedWindows, pose_windows
from motiongan.motion.clip import Clip
from motiongan.utility.rows import Row

WINDOW = 64  # frames


def run_recognition(
    sources: Mapping[str, Sequence[Clip]],
    test: Sequence[Clip],
    rows: Sequence[Row],
    actions: Sequence[str],
    body: Body,
    seeds: Sequence[int],
    *,
    steps: int,
    on_done: Callable[[], None] = lambda: None,
) -> dict[str, Float[Tensor, "seeds clips"]]:
    """Share of each test clip's windows that are recognised, by row and seed.

    The recognizer is that of `motiongan evaluate`, which mirrors, crops and adds noise in every row alike. Where a row
    has two parts, the smaller one is repeated until both have about equally many windows.
    """
    posed = {
        name: pose_windows(clips, body, actions=actions, frames=WINDOW, overlap=True) for name, clips in sources.items()
    }
    seen = pose_windows(test, body, actions=actions, frames=WINDOW)
    found: dict[str, list[Tensor]] = {row.name: [] for row in rows}
    for seed in seeds:
        for row in rows:
            parts = [posed[name] for name in (row.real, row.extra) if name is not None]
            inputs, mask, labels = _joined(parts)
            recognizer = train_recognizer(inputs, mask, labels, actions, seed=seed, steps=steps)
            with torch.no_grad():
                right = recognizer(seen.inputs(), seen.mask).argmax(1) == seen.action_ids
            total = torch.zeros(len(test), dtype=torch.float64).index_add(0, seen.clip_ids, right.double())
            count = torch.zeros(len(test), dtype=torch.float64).index_add(
                0, seen.clip_ids, torch.ones(len(right)).double()
            )
            found[row.name].append(total / count)
            on_done()
    return {name: torch.stack(each) for name, each in found.items()}


def recognition_rows(*, synthetic: bool, controls: Sequence[str] = ()) -> list[Row]:
    """The rows of the task, in the order of the table."""
    rows = [Row("few", "few")]
    if synthetic:
        rows += [Row("synthetic only", None, "synthetic"), Row("few + synthetic", "few", "synthetic")]
    rows += [Row(f"control: {control} only", None, control) for control in controls if control != "copies"]
    return [*rows, Row("all real", "all")]


def _joined(parts: Sequence[PosedWindows]) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, mask and labels of all parts together, each repeated as often as fits into the largest."""
    most = max(len(part) for part in parts)
    inputs, masks, labels = [], [], []
    for part in parts:
        times = max(1, round(most / len(part)))
        inputs.append(part.inputs().repeat(times, 1, 1))
        masks.append(part.mask.repeat(times, 1))
        labels.append(part.action_ids.repeat(times))
    return torch.cat(inputs), torch.cat(masks), torch.cat(labels)
