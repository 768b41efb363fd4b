"""The figures of a report: what each is called, how it is written, what it means and which way is good; and tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OVERALL = "overall"
Figures = dict[str, float]

LOWER, HIGHER, AS_REAL, PLAIN = "lower is better", "higher is better", "as the real row is best", ""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval (NaN where it has none) and the number of clips it was drawn anew from."""

    value: float
    low: float = math.nan
    high: float = math.nan
    clips: int = 0


Row = dict[str, dict[str, Estimate]]  # figures by name, under `OVERALL` and under every action


@dataclass(frozen=True)
class Figure:
    """group, heading and format of a figure; `good` says which direction is; `meaning` is a sentence for anybody."""

    group: str
    heading: str
    form: str
    good: str
    meaning: str
    per_action: bool = False


_LIKENESS, _COPIES, _BODY = "Likeness to real motion", "Variety and copies", "Physical plausibility"

FIGURES: Mapping[str, Figure] = {
    "windows": Figure(
        _LIKENESS, "windows", "{:.0f}", PLAIN, "How many pieces of motion, all cut to one length, were measured.", True
    ),
    "fid": Figure(
        _LIKENESS,
        "FID",
        "{:.2f}",
        LOWER,
        "Distance between the recognizer's view of these clips and of the training clips, as many of each action as the"
        " held-out clips have. Copies of the training clips score best: read it with the figures on copies.",
    ),
    "fid_held_out": Figure(
        _LIKENESS, "FID to held-out", "{:.2f}", LOWER, "The same distance to clips of people nobody trained on."
    ),
    "accuracy": Figure(
        _LIKENESS,
        "accuracy",
        "{:.1%}",
        HIGHER,
        "Share that the recognizer, trained on the real training clips, takes for the action on the label.",
        True,
    ),
    "synthetic_accuracy": Figure(
        _LIKENESS,
        "accuracy of one trained on them",
        "{:.1%}",
        HIGHER,
        "A second recognizer is trained on these clips alone and must name the held-out real clips: it fails where the"
        " clips lack what real people do. The real row was trained on the real training clips.",
        True,
    ),
    "precision": Figure(
        _LIKENESS,
        "precision",
        "{:.1%}",
        HIGHER,
        "Share that lies among the training clips of the action: nearer to one of them than its fifth neighbour is.",
        True,
    ),
    "density": Figure(
        _LIKENESS,
        "density",
        "{:.2f}",
        AS_REAL,
        "How thickly real neighbourhoods overlap where these clips lie; far above the real row they crowd around"
        " typical clips.",
    ),
    "recall": Figure(
        _LIKENESS, "recall", "{:.1%}", HIGHER, "Share of the training clips that lie among these clips.", True
    ),
    "coverage": Figure(
        _LIKENESS,
        "coverage",
        "{:.1%}",
        HIGHER,
        "Share of the training clips that have one of these clips in their neighbourhood; low where kinds of motion"
        " are missing.",
        True,
    ),
    "precision_held_out": Figure(
        _LIKENESS, "precision to held-out", "{:.1%}", HIGHER, "Precision among the clips of the held-out people."
    ),
    "density_held_out": Figure(
        _LIKENESS, "density to held-out", "{:.2f}", AS_REAL, "Density among the clips of the held-out people."
    ),
    "recall_held_out": Figure(
        _LIKENESS, "recall of held-out", "{:.1%}", HIGHER, "Share of held-out clips that lie among these clips."
    ),
    "coverage_held_out": Figure(
        _LIKENESS,
        "coverage of held-out",
        "{:.1%}",
        HIGHER,
        "Share of held-out clips that have one of these clips in their neighbourhood.",
    ),
    "diversity": Figure(
        _COPIES, "diversity", "{:.2f}", AS_REAL, "Mean distance of two clips of any actions to the recognizer's eye."
    ),
    "multimodality": Figure(
        _COPIES, "multimodality", "{:.2f}", AS_REAL, "Mean distance of two clips of one action.", True
    ),
    "pose_diversity": Figure(
        _COPIES,
        "pose diversity / train",
        "{:.2f}",
        AS_REAL,
        "How much clips of one action differ in pose at the same frame, over the training clips' own; near 0 a"
        " generator makes one clip over and over, which FID does not see.",
        True,
    ),
    "nn_mm": Figure(
        _COPIES,
        "nearest training motion, mm",
        "{:.0f}",
        AS_REAL,
        "Median joint distance of the middle 0.8 s to the most alike 0.8 s of any training clip, free of place and"
        " heading; 0 is a copy.",
        True,
    ),
    "nn_ratio": Figure(
        _COPIES,
        "the same / held-out",
        "{:.2f}",
        AS_REAL,
        "That median over the held-out people's: well below 1 the clips are nearer to the training clips than other"
        " people are.",
        True,
    ),
    "copy_share": Figure(
        _COPIES,
        "near-copies",
        "{:.1%}",
        LOWER,
        "Share nearer to a training clip than 95 % of held-out clips of the action are; 5 % is what chance gives.",
        True,
    ),
    "low_toe_share": Figure(
        _BODY, "low toes", "{:.1%}", AS_REAL, "Share of steps in time with the ball of a foot below 3 cm.", True
    ),
    "skate_share": Figure(
        _BODY, "of these skating", "{:.1%}", LOWER, "Share of low toes that slide faster than 0.5 m/s.", True
    ),
    "foot_skate": Figure(_BODY, "low toe speed, m/s", "{:.3f}", LOWER, "Mean horizontal speed of low toes."),
    "penetration_mm": Figure(
        _BODY, "penetration, mm", "{:.2f}", LOWER, "Mean depth of the lowest sole point below the ground.", True
    ),
    "air_share": Figure(
        _BODY, "in the air", "{:.1%}", AS_REAL, "Share of frames in which every part is over 5 cm high.", True
    ),
    "floating_share": Figure(
        _BODY, "floating", "{:.1%}", LOWER, "Share of frames in the air that do not fall as gravity demands.", True
    ),
    "flight_error": Figure(
        _BODY,
        "flight error, m/s²",
        "{:.2f}",
        LOWER,
        "In the air: how far the centre of mass's vertical acceleration is from -9.81 m/s².",
        True,
    ),
    "range_share": Figure(
        _BODY,
        "frames out of joint range",
        "{:.1%}",
        LOWER,
        "Share of frames with a joint more than 5 degrees outside its range of motion.",
        True,
    ),
    "range_degrees": Figure(
        _BODY, "degrees out of range", "{:.2f}", LOWER, "Degrees outside the ranges, summed over the joints."
    ),
    "jerk_ratio": Figure(
        _BODY,
        "jerk / train",
        "{:.2f}",
        AS_REAL,
        "Median jerk over the training clips' own: above 1 it trembles, below 1 it is smoothed.",
        True,
    ),
}


def written(name: str, estimate: Estimate | float | None, *, interval: bool = False) -> str:
    """A figure as text in its unit, with its interval in brackets if asked for; a dash where there is none."""
    if estimate is None:
        return "-"
    if not isinstance(estimate, Estimate):
        estimate = Estimate(float(estimate))
    if math.isnan(estimate.value):
        return "-"
    form = FIGURES[name].form
    text = form.format(estimate.value)
    if not interval or math.isnan(estimate.low):
        return text
    return f"{text} [{form.format(estimate.low).rstrip('%')}, {form.format(estimate.high)}]"


def overall_table(
    results: Mapping[str, Mapping[str, Mapping[str, Estimate | float]]], *, interval: bool = False
) -> str:
    """The overall figures as a Markdown table: a row per figure, a column per set of clips."""
    rows = [["figure", *results]]
    for name, figure in FIGURES.items():
        cells = [written(name, row.get(OVERALL, {}).get(name), interval=interval) for row in results.values()]
        rows.append([figure.heading, *cells])
    return _markdown(rows)


def action_table(results: Mapping[str, Mapping[str, Mapping[str, Estimate | float]]]) -> str:
    """The figures of every action as a Markdown table: a row per action and set of clips, real ones last."""
    shown = [name for name, figure in FIGURES.items() if figure.per_action]
    rows = [["action", "clips", *(FIGURES[name].heading for name in shown)]]
    for action in actions_of(results):
        for label, row in results.items():
            if action in row:
                rows.append([action, label, *(written(name, row[action].get(name)) for name in shown)])
    return _markdown(rows)


def actions_of(results: Mapping[str, Mapping[str, object]]) -> list[str]:
    """The actions of all rows, in the order in which they appear."""
    return list(dict.fromkeys(action for row in results.values() for action in row if action != OVERALL))


def plain_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells in aligned columns for a terminal, the first row being the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
