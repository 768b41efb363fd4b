"""The benchmark's report: facts for report.json, its tables and verdicts, report.md and its picture."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from motiongan.evaluation.figures import markdown_table
from motiongan.files import write_json, write_whole
from motiongan.utility.intervals import Figure
from motiongan.utility.results import BETTER, NOISE, WORSE, Results, percent
from motiongan.utility.rows import ALL, ALL_PERTURBED, BOTH, FEW, ONLY, PERTURBED, RIVALS, SYNTHETIC

JSON_NAME, PAGE_NAME, PICTURE_NAME = "report.json", "report.md", "report.png"
NAMES = (JSON_NAME, PAGE_NAME, PICTURE_NAME)
_BLUE = "#0072b2"


def row_table(results: Results) -> list[list[str]]:
    """Cells of the table of all rows, the heading first."""
    heading = ["trained on", *(f"{each.heading} {each.unit}" for each in results.measures.values())]
    if results.is_lifter:
        heading += [f"gain over {FEW}", f"gain over {PERTURBED}", f"gap closed from {PERTURBED}"]
    else:
        heading += [f"share of {FEW}'s"]
    cells = [heading]
    for row in results.rows:
        line = [row]
        for name, each in results.measures.items():
            line.append(_plain(results.overall[name].figure(row), each.scale, each.digits))
        line.append(percent(results.gain(row, FEW), signed=results.is_lifter))
        if results.is_lifter:
            line.append(percent(results.gain(row, PERTURBED), signed=True))
            line.append(percent(results.closed(row, PERTURBED)))
        cells.append(line)
    return cells


def rival_table(results: Results) -> list[list[str]]:
    """Cells of the rows against those with clips of the PCA-Gaussian, the heading first; empty without such rows."""
    cells = []
    for row, rival in RIVALS.items():
        if gains := results.over_rival(row):
            judged = [f"{percent(gain, signed=results.is_lifter)} {results.verdict(gain)}" for gain in gains.values()]
            cells.append([row, rival, *(text.strip() for text in judged)])
    word = "lower" if results.is_lifter else "share of its"
    heading = ["trained on", "against", *(f"{word} {each.heading}" for each in results.measures.values())]
    return [heading, *cells] if cells else []


def action_table(results: Results) -> list[list[str]]:
    """Cells of the main measure by action, with the gain over few + perturbation (or few)."""
    measure = results.measures[results.main]
    cells = [["action", "test clips", *results.rows]]
    for action, comparisons in results.by_action.items():
        line = [action, str(results.clips[action])]
        for row in results.rows:
            text = _plain(comparisons[results.main].figure(row), measure.scale, measure.digits, interval=False)
            gain = results.action_gain(row, action)
            if gain is not None:
                worse = f", {WORSE}" if results.verdict(gain) == WORSE else ""
                text += f" ({percent(gain, signed=results.is_lifter)}{worse})"
            line.append(text)
        cells.append(line)
    return cells


def verdicts(results: Results) -> list[str]:
    """What the figures say of the generated clips, a sentence each: beyond noise where the whole interval does."""
    if not results.is_lifter:
        return _recognition_verdicts(results)
    told = []
    if BOTH in results.rows:
        gain = results.gain(BOTH, PERTURBED)
        what = "" if results.focus is None else f" on {results.focus}"
        told.append(f"{BOTH} against {PERTURBED}{what}: gain of {percent(gain, signed=True)}{_judged(results, gain)}")
        told.append(_gap_verdict(results))
        told.append(_action_verdict(results, BOTH))
    for row in RIVALS:
        if gains := results.over_rival(row):
            parts = []
            for verdict in (BETTER, NOISE, WORSE):
                names = [results.measures[name].heading for name in gains if results.verdict(gains[name]) == verdict]
                parts += [f"{verdict} in {', '.join(names)}"] if names else []
            told.append(f"{row} against {RIVALS[row]}: {'; '.join(parts) or 'one seed and one clip do not tell'}")
    return told


def _gap_verdict(results: Results) -> str:
    """The share of the gap from few + perturbation to all real clips that few + both closes."""
    parts = []
    for ceiling in (ALL_PERTURBED, ALL):
        low, high = (results.overall[results.main].figure(row).value for row in (ceiling, PERTURBED))
        gap = f"the gap from {PERTURBED} to {ceiling} ({high:.1f} to {low:.1f} mm)"
        closed = results.closed(BOTH, PERTURBED, ceiling)
        parts.append(f"{gap} is not clear of zero" if closed is None else f"closes {percent(closed)} of {gap}")
    return f"{BOTH}: {'; '.join(parts)}"


def _action_verdict(results: Results, row: str) -> str:
    """On which actions the row is worse than the base beyond noise."""
    worse, better = results.actions_with(WORSE, row), results.actions_with(BETTER, row)
    count = len(results.by_action)
    listed = f" ({', '.join(worse)})" if worse else ""
    return (
        f"{row} against {results.base}, action by action: worse beyond noise in {len(worse)} of {count}{listed},"
        f" better in {len(better)}; chance alone gives {0.025 * count:.1f} of each"
    )


def _recognition_verdicts(results: Results) -> list[str]:
    told = []
    for row in (ONLY, SYNTHETIC):
        bases = [base for base in (FEW, ALL) if results.gain(row, base) is not None]
        shares = [f"{percent(results.gain(row, base))} of the accuracy of {base}" for base in bases]
        if shares:
            told.append(f"{row}: {', '.join(shares)}")
    if gain := results.over_rival(ONLY).get(results.main):
        told.append(f"{ONLY}: {percent(gain)} of the accuracy of {RIVALS[ONLY]}{_judged(results, gain)}")
    return told


def _judged(results: Results, gain: Figure | None) -> str:
    verdict = results.verdict(gain)
    return f": {verdict}" if verdict else ""


def picture(results: Results) -> bytes:
    """PNG: the main measure of every row, and its gain over few + perturbation (or few), with their intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    measure = results.measures[results.main]
    drawing = Drawing(figsize=(11, 1.5 + 0.34 * len(results.rows)), layout="constrained")
    FigureCanvasAgg(drawing)
    left, right = drawing.subplots(1, 2, sharey=True)
    for place, row in enumerate(results.rows):
        colour = "#8a7f6a" if row.startswith("control") else _BLUE if row in (SYNTHETIC, BOTH, ONLY) else "#333333"
        figure = results.overall[results.main].figure(row)
        low, high = figure.low * measure.scale, figure.high * measure.scale
        left.plot([low, high], [place, place], color=colour, linewidth=2)
        left.plot([figure.value * measure.scale], [place], "o", color=colour)
        if gain := results.gain(row, results.base):
            right.plot([100 * gain.low, 100 * gain.high], [place, place], color=colour, linewidth=2)
            right.plot([100 * gain.value], [place], "o", color=colour)
    left.set_yticks(range(len(results.rows)), results.rows)
    left.set_ylim(len(results.rows) - 0.5, -0.5)
    left.set_xlabel(f"{measure.heading}, {measure.unit}")
    right.axvline(0 if results.is_lifter else 100, color="#333333", linewidth=0.8, linestyle=":")
    word = "lower error than" if results.is_lifter else "accuracy as a share of"
    right.set_xlabel(f"{word} {results.base}, %\n(paired 95 % intervals)")
    for panel in (left, right):
        panel.grid(axis="x", color="#eeeeee")
        panel.margins(x=0.08)
    buffer = io.BytesIO()
    drawing.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def write_report(folder: Path, results: Results, facts: Mapping[str, Any], notes: Sequence[str]) -> None:
    """Write report.json, report.md and report.png into a folder, which is made where it is missing.

    report.json comes last: where it is, the report is complete.
    """
    judged = verdicts(results)
    sections = {"All rows": row_table(results), "Against the PCA-Gaussian": rival_table(results)}
    sections["By action"] = action_table(results)
    tables = "".join(f"\n## {name}\n\n{markdown_table(cells)}\n" for name, cells in sections.items() if cells)
    says = f"\n## What it says\n\n{_listed(judged)}\n" if judged else ""
    page = f"# What the generated clips are worth\n\n{_listed(notes)}\n\n![figures]({PICTURE_NAME})\n{says}{tables}"
    write_whole(folder / PICTURE_NAME, picture(results))
    write_whole(folder / PAGE_NAME, page.encode())
    write_json(folder / JSON_NAME, {**facts, "verdicts": judged, "rows": results.facts()})


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _plain(figure: Figure, scale: float, digits: int, *, interval: bool = True) -> str:
    text = f"{figure.value * scale:.{digits}f}"
    if not interval:
        return text
    return f"{text} [{figure.low * scale:.{digits}f}, {figure.high * scale:.{digits}f}]"
