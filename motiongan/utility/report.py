"""The benchmark's report: facts for report.json, the tables, report.md and its picture."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor

from motiongan.files import write_json, write_whole
from motiongan.utility.intervals import Comparison, Figure
from motiongan.utility.rows import ALL_PERTURBED, BOTH, FEW, ONLY, PERTURBED, SYNTHETIC

JSON_NAME, PAGE_NAME, PICTURE_NAME = "report.json", "report.md", "report.png"
_BLUE = "#0072b2"
NAMES = (JSON_NAME, PAGE_NAME, PICTURE_NAME)


@dataclass(frozen=True)
class Measure:
    """A figure of every row. scale turns it into what is printed."""

    heading: str
    unit: str
    digits: int = 1
    scale: float = 1.0


LIFTER_MEASURES = {
    "mpjpe": Measure("MPJPE", "mm"),
    "pa_mpjpe": Measure("PA-MPJPE", "mm"),
    "n_mpjpe": Measure("N-MPJPE", "mm"),
    "velocity_error": Measure("velocity", "mm/s", 0),
}
RECOGNITION_MEASURES = {"accuracy": Measure("accuracy", "%", 1, 100.0)}


class Results:
    """Errors of all rows and what is compared: computed once, printed in several ways.

    errors   by measure and row; lower is better but for accuracy
    focus    action that all but the per-action figures look at; None = all
    """

    def __init__(
        self,
        errors: Mapping[str, Mapping[str, Float[Tensor, "seeds clips"]]],
        action_ids: Int64[Tensor, "clips"],
        actions: Sequence[str],
        measures: Mapping[str, Measure],
        *,
        focus: str | None = None,
    ) -> None:
        self.errors, self.measures, self.actions, self.focus = errors, measures, list(actions), focus
        self.main = next(iter(measures))
        self.rows = list(errors[self.main])
        number = None if focus is None else self.actions.index(focus)
        self.overall = {name: Comparison(errors[name], action_ids, action=number) for name in measures}
        present = action_ids.unique().tolist()
        self.by_action = {
            action: {name: Comparison(errors[name], action_ids, action=index) for name in measures}
            for index, action in enumerate(self.actions)
            if index in present
        }
        self.clips = {action: int((action_ids == index).sum()) for index, action in enumerate(self.actions)}
        self.is_lifter = "mpjpe" in measures

    def gain(self, row: str, base: str, comparison: Comparison | None = None) -> Figure | None:
        """The row's gain over the base; None where it is the base, or the base is not here."""
        if row == base or base not in self.rows:
            return None
        comparison = comparison or self.overall[self.main]
        return comparison.gain(row, base) if self.is_lifter else comparison.ratio(row, base)

    def closed(self, row: str, base: str) -> Figure | None:
        """Share of the gap from the base to all real clips that the row closes."""
        if not self.is_lifter or row in (base, ALL_PERTURBED):
            return None
        return self.overall[self.main].closed(row, base, ALL_PERTURBED)

    def facts(self) -> dict[str, Any]:
        """For report.json."""
        told: dict[str, Any] = {}
        for row in self.rows:
            one: dict[str, Any] = {
                name: self.overall[name].figure(row).facts() | {"by_seed": self._by_seed(name, row)}
                for name in self.measures
            }
            word = "gain" if self.is_lifter else "ratio"
            for base in (FEW, PERTURBED):
                if gain := self.gain(row, base):
                    one[f"{word}_over_{_key(base)}"] = gain.facts()
                if closed := self.closed(row, base):
                    one[f"gap_closed_from_{_key(base)}"] = closed.facts()
            one["by_action"] = {}
            for action, comparisons in self.by_action.items():
                figures = {name: comparisons[name].figure(row).facts() for name in self.measures}
                for base in (FEW, PERTURBED):
                    if gain := self.gain(row, base, comparisons[self.main]):
                        figures[f"{word}_over_{_key(base)}"] = gain.facts()
                one["by_action"][action] = figures
            told[row] = one
        return told

    def _by_seed(self, name: str, row: str) -> list[float]:
        """The row's figure, seed by seed."""
        return [round(value, 4) for value in self.overall[name].by_seed[row]]

    def table(self) -> list[list[str]]:
        """Cells of the table of all rows, the heading first."""
        heading = ["trained on"]
        heading += [f"{each.heading} {each.unit}" for each in self.measures.values()]
        if self.is_lifter:
            heading += [f"gain over {FEW}", f"gain over {PERTURBED}", f"gap closed from {PERTURBED}"]
        else:
            heading += [f"share of {FEW}'s"]
        cells = [heading]
        for row in self.rows:
            line = [row]
            for name, each in self.measures.items():
                line.append(_plain(self.overall[name].figure(row), each.scale, each.digits))
            line.append(_percent(self.gain(row, FEW), signed=self.is_lifter))
            if self.is_lifter:
                line.append(_percent(self.gain(row, PERTURBED), signed=True))
                line.append(_percent(self.closed(row, PERTURBED)))
            cells.append(line)
        return cells

    def action_table(self) -> list[list[str]]:
        """Cells of the main measure by action, with the gain over few + perturbation (or few)."""
        measure = self.measures[self.main]
        base = PERTURBED if self.is_lifter else FEW
        cells = [["action", "test clips", *self.rows]]
        for action, comparisons in self.by_action.items():
            line = [action, str(self.clips[action])]
            for row in self.rows:
                text = _plain(comparisons[self.main].figure(row), measure.scale, measure.digits, interval=False)
                gain = self.gain(row, base, comparisons[self.main])
                line.append(text if gain is None else f"{text} ({_percent(gain, signed=self.is_lifter)})")
            cells.append(line)
        return cells

    def picture(self) -> bytes:
        """PNG: the main measure of every row, and its gain over few + perturbation, with their intervals."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure as Drawing

        measure = self.measures[self.main]
        base = PERTURBED if self.is_lifter else FEW
        drawing = Drawing(figsize=(11, 1.5 + 0.34 * len(self.rows)), layout="constrained")
        FigureCanvasAgg(drawing)
        left, right = drawing.subplots(1, 2, sharey=True)
        for place, row in enumerate(self.rows):
            colour = "#8a7f6a" if row.startswith("control") else _BLUE if row in (SYNTHETIC, BOTH, ONLY) else "#333333"
            figure = self.overall[self.main].figure(row)
            low, high = figure.low * measure.scale, figure.high * measure.scale
            left.plot([low, high], [place, place], color=colour, linewidth=2)
            left.plot([figure.value * measure.scale], [place], "o", color=colour)
            if gain := self.gain(row, base):
                right.plot([100 * gain.low, 100 * gain.high], [place, place], color=colour, linewidth=2)
                right.plot([100 * gain.value], [place], "o", color=colour)
        left.set_yticks(range(len(self.rows)), self.rows)
        left.set_ylim(len(self.rows) - 0.5, -0.5)
        left.set_xlabel(f"{measure.heading}, {measure.unit}")
        right.axvline(0 if self.is_lifter else 100, color="#333333", linewidth=0.8, linestyle=":")
        word = "lower error than" if self.is_lifter else "accuracy as a share of"
        right.set_xlabel(f"{word} {base}, % (paired 95 % intervals)")
        for panel in (left, right):
            panel.grid(axis="x", color="#eeeeee")
            panel.margins(x=0.08)
        buffer = io.BytesIO()
        drawing.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
        return buffer.getvalue()


def write_report(folder: Path, results: Results, facts: Mapping[str, Any], notes: Sequence[str]) -> None:
    """Write report.json, report.md and report.png into a folder, which is made where it is missing."""
    write_json(folder / JSON_NAME, {**facts, "rows": results.facts()})
    write_whole(folder / PICTURE_NAME, results.picture())
    about = "\n".join(f"- {note}" for note in notes)
    page = (
        f"# What the generated clips are worth\n\n{about}\n\n![figures]({PICTURE_NAME})\n\n"
        f"## All rows\n\n{_markdown(results.table())}\n\n## By action\n\n{_markdown(results.action_table())}\n"
    )
    write_whole(folder / PAGE_NAME, page.encode())


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


def _plain(figure: Figure, scale: float, digits: int, *, interval: bool = True) -> str:
    text = f"{figure.value * scale:.{digits}f}"
    if not interval:
        return text
    return f"{text} [{figure.low * scale:.{digits}f}, {figure.high * scale:.{digits}f}]"


def _percent(figure: Figure | None, *, signed: bool = False) -> str:
    if figure is None:
        return ""
    form = "+.1f" if signed else ".0f"
    return f"{100 * figure.value:{form}} % [{100 * figure.low:{form}}, {100 * figure.high:{form}}]"


def _key(base: str) -> str:
    return base.replace(" + ", "_and_").replace(" ", "_")
