"""The measures of athletes for the report: JSON, a table per action, and plots of their distributions."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from motiongan.evaluation.athletics import FEWEST, MEASURES, Distance, Measured
from motiongan.evaluation.plots import COLOURS, REAL_COLOURS, png_of

Distances = Mapping[str, Mapping[str, Mapping[str, Distance]]]  # by row, action and measure

_COLUMNS = 4
_FEW = 8  # values, from which on their density is drawn; fewer are drawn as dots


def athletics_facts(distances: Distances) -> dict[str, Any]:
    """What report.json holds of the measures, by row, action and measure; units are those of `MEASURES`."""

    def plain(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        label: {
            action: {
                name: {
                    "unit": MEASURES[name].heading,
                    "windows": one.windows,
                    "quartiles": [one.low, one.median, one.high],
                    **{
                        f"distance_{to}": {
                            "value": plain(estimate.value),
                            "low": plain(estimate.low),
                            "high": plain(estimate.high),
                        }
                        for to, estimate in (("to_train", one.to_train), ("to_held_out", one.to_held_out))
                    },
                }
                for name, one in measures.items()
            }
            for action, measures in row.items()
        }
        for label, row in distances.items()
    }


def athletics_table(distances: Distances, action: str, real: Sequence[str]) -> str:
    """One action as an HTML table: a line per measure; per row of the report its median, quartiles and distances."""
    labels = [label for label in distances if distances[label].get(action)]
    heads = "".join(f"<th colspan=2>{html.escape(label)}</th>" for label in labels)
    lines = [
        f"<div class=wide><table><thead><tr><th rowspan=2>{html.escape(action)}</th>{heads}</tr>",
        "<tr>" + "<th>median, quartiles</th><th>distance to training, held-out</th>" * len(labels) + "</tr></thead>",
    ]
    for name, measure in MEASURES.items():
        if not any(name in distances[label][action] for label in labels):
            continue
        cells = "".join(_cells(distances[label][action].get(name), measure.form, label in real) for label in labels)
        lines.append(
            f"<tr><td>{html.escape(measure.heading)}<small>{html.escape(measure.meaning)}</small></td>{cells}</tr>"
        )
    return "\n".join([*lines, "</table></div>"])


def _cells(one: Distance | None, form: str, is_real: bool) -> str:
    kind = " class=real" if is_real else ""
    if one is None:
        return f"<td{kind}>-</td>" * 2
    middle = f"{form.format(one.median)}<small>{form.format(one.low)} to {form.format(one.high)}<br>n = {one.windows}"
    told = []
    for estimate in (one.to_train, one.to_held_out):
        if math.isnan(estimate.value):
            told.append("-")
        elif math.isnan(estimate.low):
            told.append(form.format(estimate.value))
        else:
            bounds = f"[{form.format(estimate.low)}, {form.format(estimate.high)}]"
            told.append(f"{form.format(estimate.value)} <small class=inline>{bounds}</small>")
    return f"<td{kind}>{middle}</small></td><td{kind}>{'<br>'.join(told)}</td>"


def athletics_plot(measured: Mapping[str, Measured], action_id: int, real: Sequence[str]) -> bytes:
    """The distributions of an action's measures as PNG, a panel each: a ridge per row, dots where values are few."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = {
        name: {label: one.of(action_id, name)[0].double().numpy() for label, one in measured.items()}
        for name in MEASURES
    }
    counts = {name: sum(len(row) for row in rows.values()) for name, rows in values.items()}
    shown = [name for name, count in counts.items() if count >= min(FEWEST, max(counts.values()))]
    labels = list(measured)
    lines = -(-len(shown) // _COLUMNS)
    line, width = 0.75 + 0.26 * len(labels), 11.0  # inches
    height = lines * line
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    names = 0.35 + 0.065 * max(len(label) for label in labels)  # inches for the longest, in 8 points
    figure.subplots_adjust(
        left=names / width,
        right=1 - 0.15 / width,
        top=1 - 0.3 / height,
        bottom=0.3 / height,
        wspace=0.1,
        hspace=0.55 / (line - 0.5),
    )
    panels = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    for panel in panels[len(shown) :]:
        panel.axis("off")
    for number, (panel, name) in enumerate(zip(panels, shown)):
        everything = np.concatenate(list(values[name].values()))
        low, high = np.quantile(everything, [0.005, 0.995])
        margin = 0.05 * (high - low) or 1.0
        grid = np.linspace(low - margin, high + margin, 200)
        made = 0
        for place, label in enumerate(labels):
            if label in real:
                colour = REAL_COLOURS[list(real).index(label) % len(REAL_COLOURS)]
            else:
                colour, made = COLOURS[made % len(COLOURS)], made + 1
            _ridge(panel, values[name][label], grid, place, colour)
        panel.set_title(MEASURES[name].heading, fontsize=9)
        panel.set_ylim(len(labels) - 0.4, -1.0)
        panel.set_xlim(grid[0], grid[-1])
        panel.set_yticks(range(len(labels)), labels if number % _COLUMNS == 0 else [""] * len(labels), fontsize=8)
        panel.tick_params(axis="x", labelsize=8)
        panel.tick_params(axis="y", length=0)
        for side in ("left", "right", "top"):
            panel.spines[side].set_visible(False)
    return png_of(figure)


def _ridge(panel: Any, values: np.ndarray, grid: np.ndarray, place: int, colour: str) -> None:
    """A density that stands on its line, as high as the line above; the median as a tick."""
    from scipy.stats import gaussian_kde

    panel.axhline(place, color="#dddddd", linewidth=0.6, zorder=0)
    if not len(values):
        return
    inside = values[(values >= grid[0]) & (values <= grid[-1])]
    if len(inside) < _FEW or np.ptp(inside) < 1e-6 * max(1.0, np.abs(inside).max()):
        panel.plot(inside, np.full(len(inside), place - 0.1), "o", color=colour, markersize=3, alpha=0.7)
    else:
        height = gaussian_kde(inside, 0.35 * inside.size**-0.1)(grid)
        panel.fill_between(grid, place, place - 0.85 * height / height.max(), color=colour, alpha=0.45, linewidth=0)
    middle = np.median(values)
    panel.plot([middle, middle], [place, place - 0.3], color=colour, linewidth=2)
