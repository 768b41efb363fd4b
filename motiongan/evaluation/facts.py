"""All that an evaluation found, in plain numbers and lines: what report.json holds, and the page says in words."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from motiongan.evaluation import bootstrap, controls, metrics
from motiongan.evaluation.athletics_report import Distances, athletics_facts
from motiongan.evaluation.evaluate import FEWEST_ACTIONS
from motiongan.evaluation.figures import FIGURES, OVERALL, Estimate, Row, actions_of, written
from motiongan.evaluation.frechet import NUM_DRAWS
from motiongan.evaluation.inputs import EvaluationInputs
from motiongan.evaluation.nearness import NEAR_SHARE
from motiongan.evaluation.phases import NUM_PHASES
from motiongan.evaluation.recognizer import NAME

REAL, TRAINING, CONTROL = "held-out real", "training real", "control: "


def report_facts(
    inputs: EvaluationInputs,
    rows: Mapping[str, Row],
    distances: Distances,
    *,
    seed: int,
    body: str,
    recognizer_hashes: Sequence[str],
) -> dict[str, Any]:
    """All that report.json holds; the same for the same inputs and seed. `distances`: of the measures of athletes."""
    import numpy as np
    import torch

    from motiongan import __version__

    accuracy = rows[REAL][OVERALL]["accuracy"] if REAL in rows else None
    return {
        "format": "motiongan.evaluation",
        "version": 2,
        "versions": {"motiongan": __version__, "torch": torch.__version__, "numpy": np.__version__},
        "recognizer": {
            "name": NAME,
            "sha256": list(recognizer_hashes),
            "seeds": [seed + number for number in range(len(recognizer_hashes))],
            "actions": list(inputs.actions),
            "trained_on_clips": len([clip for clip in inputs.train if clip.action in inputs.actions]),
            "held_out_accuracy": None if accuracy is None else _estimate(accuracy),
        },
        "protocol": {
            "seed": seed,
            "window_frames": inputs.window,
            "frame_rate": inputs.sources["data"]["frame_rate"],
            "body": body,
            "actions": list(inputs.measured),
            "actions_left_out": list(inputs.left_out),
            "held_out_subjects": list(inputs.held_out_subjects),
            "held_out_from": inputs.held_out_from,
            "neighbours": metrics.NEIGHBOURS,
            "near_copy_share_of_held_out": NEAR_SHARE,
            "phases": NUM_PHASES,
            "equal_count_draws": NUM_DRAWS,
            "interval": "95 % percentile bootstrap over clips, within each action",
            "bootstrap_draws": bootstrap.DRAWS,
        },
        "remarks": _remarks(inputs, rows),
        "sources": inputs.sources,
        "rows": {
            label: {
                action: {name: _estimate(estimate) for name, estimate in figures.items()}
                for action, figures in row.items()
            }
            for label, row in rows.items()
        },
        "athletics": athletics_facts(distances),
        "controls": {
            name: {one.figure: {"expected": one.expected, "shown": one.shown} for one in found}
            for name, found in _verdicts(rows).items()
        },
    }


def _remarks(inputs: EvaluationInputs, rows: Mapping[str, Row]) -> list[str]:
    """What a reader must know of the people, the clips and the actions, a line each."""
    remarks = [*inputs.remarks, *(line for label in inputs.generated for line in _few_windows(label, rows))]
    if inputs.left_out:
        remarks.append(
            f"not measured, since the recognizers have too few training clips of them: {', '.join(inputs.left_out)}"
        )
    if len(inputs.actions) < FEWEST_ACTIONS:
        remarks.append(
            f"a dash where a figure needs recognizers, which have nothing to tell apart: {inputs.actions[0]} is the"
            " only action"
        )
    elif len(inputs.measured) < FEWEST_ACTIONS:
        remarks.append(
            "a dash for clips named by a recognizer taught on the measured clips, which needs more actions than"
            f" {inputs.measured[0]}"
        )
    return remarks


def _few_windows(label: str, rows: Mapping[str, Row]) -> list[str]:
    """A remark where a file has fewer windows than the held-out people, and equal numbers cannot be drawn."""

    def windows(row: str, action: str) -> int:
        figures = rows.get(row, {}).get(action, {})
        return int(figures["windows"].value) if "windows" in figures else 0

    few = [
        f"{action} ({windows(label, action)} for {windows(REAL, action)})"
        for action in actions_of({REAL: rows.get(REAL, {})})
        if 0 < windows(label, action) < windows(REAL, action)
    ]
    if not few:
        return []
    return [
        f"too few windows to compare: {label} has fewer than the held-out people of {', '.join(few)}, which raises FID"
        " and lowers recall and coverage; generate more"
    ]


def control_lines(rows: Mapping[str, Row]) -> dict[str, str]:
    """By control, which figures show it and which should but do not, beside the held-out row's."""
    lines = {}
    for name, found in _verdicts(rows).items():
        parts = []
        for shown, word in ((True, "shown"), (False, "not shown")):
            told = [
                f"{FIGURES[one.figure].heading} {written(one.figure, figure_of(rows, CONTROL + name, one.figure))}"
                f" (must be {one.expected} {written(one.figure, figure_of(rows, REAL, one.figure), interval=True)})"
                for one in found
                if one.shown == shown
            ]
            parts += [f"{word} by {', '.join(told)}"] * bool(told)
        lines[name] = "; ".join(parts)
    return lines


def _verdicts(rows: Mapping[str, Row]) -> dict[str, list[controls.Verdict]]:
    real = rows.get(REAL) or {OVERALL: {}}
    return {
        name: controls.verdicts(name, rows[CONTROL + name], real)
        for name in controls.CONTROLS
        if CONTROL + name in rows
    }


def figure_of(rows: Mapping[str, Row], label: str, name: str) -> Estimate | None:
    return rows.get(label, {}).get(OVERALL, {}).get(name)


def recognizer_line(facts: Mapping[str, Any]) -> str:
    """What the recognizers are, and how often they are right on people whom they never saw."""
    recognizer, found = facts["recognizer"], facts["recognizer"]["held_out_accuracy"]
    several = ", ".join(each[:8] for each in recognizer["sha256"])
    line = f"recognizers of {', '.join(recognizer['actions'])} ({several})"
    if found is None or found["value"] is None:
        return line
    bounds = "" if found["low"] is None else f" [{found['low']:.1%}, {found['high']:.1%}]"
    return f"{line}: name {found['value']:.1%}{bounds} of the held-out people's clips rightly"


def sentence(line: str) -> str:
    return f"{line[:1].upper()}{line[1:]}."


def _estimate(estimate: Estimate) -> dict[str, float | int | None]:
    def plain(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "value": plain(estimate.value),
        "low": plain(estimate.low),
        "high": plain(estimate.high),
        "clips": estimate.clips or None,
        "bias": plain(estimate.bias),
    }
