"""An evaluation as files: report.json for programs, and one report.html that needs nothing else, for people."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motiongan.evaluation import controls
from motiongan.evaluation.athletics_report import Distances, athletics_table
from motiongan.evaluation.evaluate import PARTINGS
from motiongan.evaluation.facts import CONTROL, REAL, TRAINING, control_lines, figure_of, recognizer_line, sentence
from motiongan.evaluation.figures import AS_REAL, FIGURES, HIGHER, LOWER, OVERALL, Estimate, Row, actions_of, written
from motiongan.files import write_json, write_whole

JSON_NAME, HTML_NAME = "report.json", "report.html"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1180px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em } h2 { margin-top: 2em; border-bottom: 1px solid #ddd } img { max-width: 100% }
table { border-collapse: collapse; font-size: 0.88em } .wide { overflow-x: auto }
th, td { padding: 0.3em 0.7em; text-align: right; border-bottom: 1px solid #eee; vertical-align: top }
th:first-child, td:first-child, td.text, thead th.label { text-align: left } td.text { color: #555; max-width: 40em }
td.text { min-width: 18em } td.label, th.label { white-space: nowrap; text-align: left; color: #555 }
td.real { background: #f4f1ea } td.floor { font-weight: 600 } .off { color: #c44e00 } h3 { margin-top: 1.5em }
.dense { font-size: 0.8em } .dense th, .dense td { padding: 0.25em 0.45em } tr.start td { border-top: 1px solid #bbb }
details { margin: 0.5em 0 } summary { cursor: pointer; color: #0072b2 }
small.inline { display: inline; white-space: nowrap } td small { font-weight: 400; white-space: nowrap }
small { color: #777; display: block } thead th { position: sticky; top: 0;
background: #fff } tr.group td { font-weight: 600; padding-top: 1.2em } .note { color: #555 }
"""

_MOVING = (
    "<h2>In motion</h2><p>Drawn at random, not picked; real people on the darker ground. Left limbs are blue, right"
    " limbs orange. The camera goes along: a foot that stands should keep its place on the lines. Dots are soles on the"
    " ground, grey is the shadow straight below. Point at a figure to see whose or which it is.</p>"
)


@dataclass(frozen=True)
class Picture:
    """A picture of the report: its heading, what it shows, and the PNG."""

    heading: str
    text: str
    png: bytes


def write_report(
    folder: Path,
    facts: Mapping[str, Any],
    rows: Mapping[str, Row],
    pictures: Sequence[Picture],
    *,
    distances: Distances,
    distributions: Mapping[str, Picture],
    moving: str = "",
) -> None:
    """Write report.json and report.html into a folder, which is made where it is missing.

    distances, distributions   of the measures of athletes; the latter by action
    moving    HTML of the moving figures (`animation.animations`), "" for none
    """
    write_json(folder / JSON_NAME, facts)
    write_whole(folder / HTML_NAME, _page(facts, rows, pictures, distances, distributions, moving).encode())


def _page(
    facts: Mapping[str, Any],
    rows: Mapping[str, Row],
    pictures: Sequence[Picture],
    distances: Distances,
    distributions: Mapping[str, Picture],
    moving: str,
) -> str:
    made = [label for label in rows if label not in (REAL, TRAINING) and not label.startswith(CONTROL)]
    title = f"How good is {' and '.join(made)}?"
    parts = [
        f"<h1>{_text(title)}</h1>",
        "<p>Generated motion was measured beside real motion, which does not score 0 % or 100 % either. There are two"
        " real columns.</p><ul>"
        f"<li><b>{REAL}</b>: people whom the generator never saw. How far they are from the training clips is how far"
        " people are from one another; no generator needs to come nearer. It is the floor of every figure that is"
        " measured against the training clips."
        f"{'' if rows.get(REAL) else ' Of these actions they have no clips: they have no row here.'}</li>"
        f"<li><b>{TRAINING}</b>: the clips that the generator learned from, one half of them against the other half"
        " where a figure compares. This is the variety and the likeness that a perfect student of these very clips"
        " has, and the floor of every figure that is measured against the held-out people.</li></ul>"
        "<p>The floor is printed bold. The brackets under a figure are its 95 % interval: how far it would move with"
        " other clips of the same origin and by another recognizer. <span class=off>Orange</span> figures are worse"
        " than, or away from, both"
        " real columns, beyond the intervals.</p>",
        f"<p class=note>{_text(_set_up(facts))}</p>",
        *(f"<p class=note>{_text(sentence(line))}</p>" for line in (recognizer_line(facts), *facts["remarks"])),
        *(f"<p>{_in_short(label, rows)}</p>" for label in made),
        "<h2>All figures</h2>",
        _overall(rows, [label for label in rows if not label.startswith(CONTROL)]),
        *_pictures(pictures[:1]),
        *([_MOVING, moving] if moving else []),
        "<h2>Action by action</h2>",
        *_by_action(rows),
        *_athletics(distances, distributions),
        *_pictures(pictures[1:]),
    ]
    if spoilt := [label for label in rows if label.startswith(CONTROL)]:
        parts.append("<h2>Controls</h2><p>Motion spoilt on purpose, to show that the ruler measures.</p><ul>")
        lines = control_lines(rows)
        parts += [
            f"<li><b>{_text(name)}</b>: {_text(control.meaning)} {_text(sentence(lines[name]))}</li>"
            for name, control in controls.CONTROLS.items()
            if name in lines
        ]
        # Beside the main figures they would take the room of what these mean.
        parts += ["</ul>", _overall(rows, [label for label in (REAL, *spoilt) if label in rows], meanings=False)]
    parts += ["<h2>How it was measured</h2>", _method(facts), _sources(facts)]
    return (
        f"<!doctype html>\n<html lang=en><meta charset=utf-8><title>{_text(title)}</title><style>{_STYLE}</style>\n"
        + "\n".join(parts)
        + "\n</html>\n"
    )


def _set_up(facts: Mapping[str, Any]) -> str:
    protocol = facts["protocol"]
    seconds = protocol["window_frames"] / protocol["frame_rate"]
    return (
        f"Actions: {', '.join(protocol['actions'])}. Held-out people (from {protocol['held_out_from']}):"
        f" {', '.join(protocol['held_out_subjects'])}. All clips are cut to windows of {seconds:.1f} s."
        " Overall figures weigh each action that the held-out people performed alike."
    )


def _overall(rows: Mapping[str, Row], labels: Sequence[str], *, meanings: bool = True) -> str:
    """The overall figures of some of the rows, a column for each."""
    heads = "".join(f"<th>{_text(label)}</th>" for label in labels) + "<th></th>" * meanings
    lines = [f"<div class=wide><table><thead><tr><th>figure</th>{heads}</tr></thead>"]
    group = ""
    for name, figure in FIGURES.items():
        if figure.group != group:
            group = figure.group
            lines.append(f"<tr class=group><td colspan={len(labels) + 1 + meanings}>{_text(group)}</td></tr>")
        cells = "".join(_cell(name, label, OVERALL, rows) for label in labels)
        good = f"<small>{_text(figure.good)}</small>" if figure.good else ""
        meaning = f"<td class=text>{_text(figure.meaning)}</td>" * meanings
        lines.append(f"<tr><td>{_text(figure.heading)}{good}</td>{cells}{meaning}</tr>")
    return "\n".join([*lines, "</table></div>"])


def _by_action(rows: Mapping[str, Row]) -> list[str]:
    """A table for each group of figures; groups of a single figure join the first one."""
    shown = [name for name, figure in FIGURES.items() if figure.per_action and name != "windows"]
    groups: dict[str, list[str]] = {}
    for name in shown:
        groups.setdefault(FIGURES[name].group, []).append(name)
    first = next(iter(groups))
    for group in [group for group, names in groups.items() if len(names) == 1]:
        groups[first] += groups.pop(group)
    return [f"<h3>{_text(group)}</h3>\n{_action_table(rows, names)}" for group, names in groups.items()]


def _action_table(rows: Mapping[str, Row], names: Sequence[str]) -> str:
    heads = "".join(f"<th>{_text(FIGURES[name].heading)}</th>" for name in names)
    lines = [
        f"<div class=wide><table class=dense><thead><tr><th>action</th><th class=label>clips</th>{heads}</tr></thead>"
    ]
    for action in actions_of(rows):
        labels = [label for label, row in rows.items() if action in row and not label.startswith(CONTROL)]
        for place, label in enumerate(labels):
            cells = "".join(_cell(name, label, action, rows, number=False) for name in names)
            count = rows[label][action].get("clips", Estimate(math.nan))
            who = f"<td class=label>{_text(label)} <small class=inline>n = {written('clips', count)}</small></td>"
            start = "<tr class=start>" if place == 0 else "<tr>"
            lines.append(f"{start}<td>{_text(action) if place == 0 else ''}</td>{who}{cells}</tr>")
    return "\n".join([*lines, "</table></div>"])


def _athletics(distances: Distances, distributions: Mapping[str, Picture]) -> list[str]:
    parts = [
        "<h2>Measures of athletes</h2><p>What a coach would measure, one number per window: the median, in small type"
        " the quartiles and the number of windows. Distances are Wasserstein distances, in the unit of the measure: by"
        " how much the values must be shifted, on average, to be distributed like the training clips' (first line)"
        " and the held-out people's (second line); a dash where fewer than five windows have a value. For the training"
        " clips, one half is compared with the other. In the pictures, hills are distributions, dots single windows,"
        " ticks medians.</p>"
    ]
    for action in dict.fromkeys(action for row in distances.values() for action in row):
        parts.append(f"<h3>{_text(action)}</h3>")
        if action in distributions:
            parts += _pictures([distributions[action]], heading=False)
        table = athletics_table(distances, action, (REAL, TRAINING))
        parts.append(f"<details><summary>{_text(action)} in numbers</summary>{table}</details>")
    return parts


def _in_short(label: str, rows: Mapping[str, Row]) -> str:
    """Which overall figures are away from real motion; and those that a sceptic asks for, wherever they are."""
    figures = [name for name in FIGURES if _is_off(name, label, OVERALL, rows)]
    known = [name for name in FIGURES if FIGURES[name].good and name in rows[label].get(OVERALL, {})]
    if figures:
        listed = ", ".join(_text(FIGURES[name].heading) for name in figures)
        away = (
            f"Of {len(known)} overall figures of {_text(label)}, {len(figures)} are worse than or away from both real"
            f" columns: {listed}."
        )
    else:
        away = f"No overall figure of {_text(label)} is away from both real columns."
    return f"<b>In short.</b> {away} {_text(_asked_first(label, rows))}"


def _asked_first(label: str, rows: Mapping[str, Row]) -> str:
    """Is it copied, can it be told from real motion, how far is it from people whom nobody trained on?"""

    def shown(name: str, row: str) -> str:
        return written(name, figure_of(rows, row, name), interval=row == label)

    beside = [
        f"{FIGURES[name].heading} {shown(name, label)} ({REAL} {shown(name, REAL)}, {TRAINING} {shown(name, TRAINING)})"
        for name in ("copy_share", "separability")
    ]
    distance = f"{FIGURES['fid_held_out'].heading} {shown('fid_held_out', label)}"
    return sentence(
        "; ".join([*beside, f"{distance} over its floor of {shown('fid_held_out', TRAINING)} ({TRAINING})"])
    )


def _is_off(name: str, label: str, action: str, rows: Mapping[str, Row]) -> bool:
    """Whether a figure lies beyond those of all real rows, with intervals that do not meet: on the bad side, or on any
    where as real is best."""
    figure = FIGURES[name]
    estimate = rows[label].get(action, {}).get(name)
    real = [rows[one][action].get(name) for one in (REAL, TRAINING) if action in rows.get(one, {})]
    known = [one for one in real if one is not None and not math.isnan(one.value)]
    if estimate is None or math.isnan(estimate.value) or not known or label in (REAL, TRAINING):
        return False
    if written(name, estimate) in [written(name, one) for one in known]:  # no difference that anybody would read
        return False
    low, high = _bounds(estimate)
    above = all(low > _bounds(one)[1] for one in known)
    below = all(high < _bounds(one)[0] for one in known)
    return {LOWER: above, HIGHER: below, AS_REAL: above or below}.get(figure.good, False)


def _bounds(estimate: Estimate) -> tuple[float, float]:
    if math.isnan(estimate.low):
        return estimate.value, estimate.value
    return min(estimate.low, estimate.value), max(estimate.high, estimate.value)


def _cell(name: str, label: str, action: str, rows: Mapping[str, Row], *, number: bool = True) -> str:
    estimate = rows[label].get(action, {}).get(name)
    kinds = ["real"] * (label in (REAL, TRAINING)) + ["off"] * _is_off(name, label, action, rows)
    if FIGURES[name].good and label == (TRAINING if FIGURES[name].to_held_out else REAL):
        kinds.append("floor")
    text = _text(written(name, estimate))
    if estimate is not None and not math.isnan(estimate.low):
        bounds = written(name, estimate, interval=True).partition(" ")[2]
        text += f"<small>{_text(bounds)}" + f"<br>n = {estimate.clips}" * number + "</small>"
    return f'<td class="{" ".join(kinds)}">{text}</td>'


def _method(facts: Mapping[str, Any]) -> str:
    protocol, recognizer = facts["protocol"], facts["recognizer"]
    return (
        f"<p>The {len(recognizer['seeds'])} recognizers ({_text(recognizer['name'])}, of seeds"
        f" {', '.join(map(str, recognizer['seeds']))}) are small convolutional networks on joint positions and"
        f" velocities, trained on {recognizer['trained_on_clips']} real clips of the training subjects; distances,"
        " diversity and neighbourhoods are taken in the 32 features of each, and averaged. Figures of reports with"
        " other recognizers, data or actions do not compare. In the row of the training clips what compares with them"
        f" is one half against the other, on average over {PARTINGS} ways to part them. FID, recall and coverage are"
        f" means over {protocol['equal_count_draws']} draws of as many windows of each action as the held-out people"
        " have, or half of the training clips where they lack it."
        f" Neighbourhoods reach to the {protocol['neighbours']}th neighbour within the action (Naeem et al. 2020)."
        " Diversity and KID look at pairs of two different clips, at most 1,500 windows of a set. Intervals:"
        f" {_text(protocol['interval'])}, {protocol['bootstrap_draws']} draws at most; n is the number of clips drawn"
        " from, which for recall, coverage and clips named are the real ones. FID, KID and the distances of the"
        " measures of athletes draw the clips of both sets anew. Drawing with replacement repeats clips, which raises"
        " FID, the spectrum distance and Wasserstein distances and lowers varieties: the mean of that bias is taken off"
        f" the draws (`bias` in {JSON_NAME}). Intervals hold how much the recognizers, and the ways to part the"
        " training clips, differ; what no interval holds: other people.</p>"
    )


def _sources(facts: Mapping[str, Any]) -> str:
    lines = ["<table><tr><th></th><th>file</th><th>clips</th><th>content (sha256)</th></tr>"]
    for name, source in facts["sources"].items():
        digest = str(source.get("content_hash", source.get("sha256", "")))
        lines.append(
            f"<tr><td>{_text(name)}</td><td>{_text(source['file'])}</td><td>{source.get('clips', '')}</td>"
            f"<td><code>{_text(digest[:16])}</code></td></tr>"
        )
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return "\n".join([*lines, "</table>", f"<p class=note>{_text(versions)}; all figures are in {JSON_NAME}.</p>"])


def _pictures(pictures: Sequence[Picture], *, heading: bool = True) -> list[str]:
    return [
        f"<h2>{_text(picture.heading)}</h2><p>{_text(picture.text)}</p>" * heading
        + f'<img alt="{_text(picture.heading)}" src="data:image/png;base64,{base64.b64encode(picture.png).decode()}">'
        for picture in pictures
    ]


def _text(value: Any) -> str:
    return html.escape(", ".join(value) if isinstance(value, list) else str(value))
