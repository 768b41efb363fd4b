"""The figures of a report: what each is called, how it is written, what it means and which way is good; and tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

OVERALL = "overall"
Figures = dict[str, float]

LOWER, HIGHER, AS_REAL, PLAIN = "lower is better", "higher is better", "nearest to the real columns is best", ""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval (NaN where it has none) and the number of clips it was drawn anew from.

    bias   by how much the draws lay above the figure on average, where that was taken off them
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    clips: int = 0
    bias: float = math.nan


Row = dict[str, dict[str, Estimate]]  # figures by name, under `OVERALL` and under every action


@dataclass(frozen=True)
class Figure:
    """group, heading and format of a figure; `good` says which direction is; `meaning` is a sentence for anybody.

    per_action   shown action by action in the report; report.json holds all figures that have a value there
    to_held_out  a figure to the held-out people's clips: its floor is in the row of the training clips, not in theirs
    """

    group: str
    heading: str
    form: str
    good: str
    meaning: str
    per_action: bool = False
    to_held_out: bool = False


_LIKENESS, _COPIES, _BODY = "Likeness to real motion", "Variety and copies", "Physical plausibility"
_PEOPLE = "Likeness to people nobody trained on"

FIGURES: Mapping[str, Figure] = {
    "clips": Figure(_LIKENESS, "clips", "{:.0f}", PLAIN, "How many clips were measured."),
    "windows": Figure(
        _LIKENESS, "windows", "{:.0f}", PLAIN, "How many pieces they make, none longer than the window.", True
    ),
    "fid": Figure(
        _LIKENESS,
        "FID",
        "{:.2f}",
        LOWER,
        "Distance between the recognizers' view of these clips and of the training clips, as many of each action as the"
        " held-out clips have. Copies of the training clips score best: read it with the figures on copies.",
    ),
    "kid": Figure(
        _LIKENESS,
        "KID",
        "{:.3f}",
        LOWER,
        "A distance like FID that does not grow where clips are few, so it can be told action by action; it scatters"
        " round 0 for clips of one origin.",
        True,
    ),
    "accuracy": Figure(
        _LIKENESS,
        "accuracy",
        "{:.1%}",
        HIGHER,
        "Share that recognizers, trained on the real training clips, take for the action on the label. The training"
        " clips it has seen before.",
        True,
    ),
    "synthetic_accuracy_train": Figure(
        _LIKENESS,
        "training clips named",
        "{:.1%}",
        HIGHER,
        "Other recognizers are trained on these clips alone and must name the training clips.",
    ),
    "separability": Figure(
        _LIKENESS,
        "told from real (AUC)",
        "{:.2f}",
        LOWER,
        "How often a fresh classifier ranks one of these clips and a training clip rightly, on clips it has not seen:"
        " 0.5 is guessing (or less, where clips have twins in the other set), 1 always. Other people are told apart"
        " too.",
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
        "How thickly real neighbourhoods overlap where these clips lie; far above the real columns they crowd around"
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
    "fid_held_out": Figure(
        _PEOPLE,
        "FID to held-out",
        "{:.2f}",
        LOWER,
        "As above, to the clips of the held-out people. The training clips' own distance to them is the floor.",
        to_held_out=True,
    ),
    "kid_held_out": Figure(_PEOPLE, "KID to held-out", "{:.3f}", LOWER, "As above.", True, to_held_out=True),
    "synthetic_accuracy": Figure(
        _PEOPLE,
        "held-out clips named",
        "{:.1%}",
        HIGHER,
        "Other recognizers are trained on these clips alone and must name the held-out people's: they fail where the"
        " clips lack what real people do.",
        True,
        to_held_out=True,
    ),
    "precision_held_out": Figure(
        _PEOPLE,
        "precision to held-out",
        "{:.1%}",
        HIGHER,
        "Share that lies among the held-out clips.",
        True,
        to_held_out=True,
    ),
    "density_held_out": Figure(
        _PEOPLE, "density to held-out", "{:.2f}", AS_REAL, "Density among the held-out clips.", to_held_out=True
    ),
    "recall_held_out": Figure(
        _PEOPLE,
        "recall of held-out",
        "{:.1%}",
        HIGHER,
        "Share of held-out clips that lie among these clips.",
        True,
        to_held_out=True,
    ),
    "coverage_held_out": Figure(
        _PEOPLE,
        "coverage of held-out",
        "{:.1%}",
        HIGHER,
        "Share of held-out clips that have one of these clips in their neighbourhood.",
        True,
        to_held_out=True,
    ),
    "diversity": Figure(
        _COPIES, "diversity", "{:.2f}", AS_REAL, "Mean distance of two clips of any actions to the recognizers' eye."
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
    "phase_coverage": Figure(
        _COPIES,
        "phases visited",
        "{:.1%}",
        HIGHER,
        "Share of the poses and phases of an action (24 clusters of the training frames) that these clips pass through"
        " at least a quarter as often as the training clips. A few clips cannot visit all.",
        True,
    ),
    "nn_mm": Figure(
        _COPIES,
        "nearest training motion, mm",
        "{:.0f}",
        AS_REAL,
        "Median joint distance of the middle 0.8 s to the most alike 0.8 s of any training clip or its mirror image,"
        " free of place and heading; 0 is a copy. For the training clips: of any other one.",
        True,
    ),
    "nn_ratio": Figure(
        _COPIES,
        "the same / held-out",
        "{:.2f}",
        AS_REAL,
        "That median over the held-out people's: well below 1 the clips are nearer to the training clips than other"
        " people are. Two clips of the same people come nearer, too: see the training clips.",
        True,
    ),
    "copy_share": Figure(
        _COPIES,
        "near-copies",
        "{:.1%}",
        LOWER,
        "Share whose nearest training motion is nearer, for its action, than that of 95 % of all held-out pieces:"
        " chance gives 5 %.",
        True,
    ),
    "low_toe_share": Figure(
        _BODY, "low toes", "{:.1%}", AS_REAL, "Share of steps in time with the ball of a foot below 3 cm.", True
    ),
    "skate_share": Figure(
        _BODY, "of these skating", "{:.1%}", LOWER, "Share of low toes that slide faster than 0.5 m/s.", True
    ),
    "foot_skate": Figure(_BODY, "low toe speed, m/s", "{:.3f}", LOWER, "Mean horizontal speed of low toes."),
    "skating_ratio": Figure(
        _BODY,
        "skating ratio (GMD)",
        "{:.1%}",
        LOWER,
        "As in Guided Motion Diffusion: share of all frames in which a toe joint below 5 cm moves faster than 0.5 m/s.",
        True,
    ),
    "penetration_mm": Figure(
        _BODY, "penetration, mm", "{:.2f}", LOWER, "Mean depth of the lowest sole point below the ground.", True
    ),
    "floating_mm": Figure(
        _BODY,
        "floating, mm",
        "{:.1f}",
        LOWER,
        "Mean height of the lowest part of the body above the ground while the body does not fall. Climbing and uneven"
        " ground count too.",
        True,
    ),
    "air_share": Figure(
        _BODY, "in the air", "{:.1%}", AS_REAL, "Share of frames in which every part is over 5 cm high.", True
    ),
    "floating_share": Figure(
        _BODY, "of all frames floating", "{:.1%}", LOWER, "Share in the air that does not fall as gravity demands."
    ),
    "flight_error": Figure(
        _BODY,
        "flight error, m/s²",
        "{:.2f}",
        LOWER,
        "In the air: how far the centre of mass's vertical acceleration is from -9.81 m/s², frame by frame.",
        True,
    ),
    "fall": Figure(
        _BODY,
        "fall in the air, m/s²",
        "{:.2f}",
        "9.81 is gravity",
        "In the air: the mean downward acceleration of the centre of mass.",
        True,
    ),
    "off_balance_mm": Figure(
        _BODY,
        "off balance, mm",
        "{:.0f}",
        LOWER,
        "Mean distance beside the feet from where the ground would have to carry the body, at rest or changing speed.",
        True,
    ),
    "self_penetration_mm": Figure(
        _BODY,
        "parts within each other, mm",
        "{:.1f}",
        LOWER,
        "Mean depth of the arm, leg, trunk or head that lies deepest within another, beyond what flesh gives way.",
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
    "spectrum": Figure(
        _BODY,
        "spectrum distance, Hz",
        "{:.3f}",
        LOWER,
        "By how many Hz the power of the joints' velocities lies elsewhere than the training clips'.",
        True,
    ),
    "asymmetry": Figure(
        _BODY,
        "left against right, °",
        "{:.1f}",
        AS_REAL,
        "How far the angles that the left limbs take in a clip differ from the right limbs'; kicks are one-sided by"
        " nature.",
        True,
    ),
    "bone_drift_mm": Figure(
        _BODY, "bone-length drift, mm", "{:.3f}", LOWER, "How far bones are from the body's own length; 0 by skinning."
    ),
    "athletics": Figure(
        "Measures of athletes",
        "distance to real, SD",
        "{:.2f}",
        LOWER,
        "Mean over speed, steps, flight, joint angles and their speeds (below): how far their distributions are from"
        " the training clips', in standard deviations of these.",
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
    return markdown_table(rows)


def action_table(results: Mapping[str, Mapping[str, Mapping[str, Estimate | float]]]) -> str:
    """The figures of every action as a Markdown table: a row per action and set of clips, real ones last."""
    shown = [name for name, figure in FIGURES.items() if figure.per_action]
    rows = [["action", "clips", *(FIGURES[name].heading for name in shown)]]
    for action in actions_of(results):
        for label, row in results.items():
            if action in row:
                rows.append([action, label, *(written(name, row[action].get(name)) for name in shown)])
    return markdown_table(rows)


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


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as a Markdown table, the first row being the heading."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
