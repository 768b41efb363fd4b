"""An evaluation as files: report.json for programs, and one report.html that needs nothing else, for people."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motiongan.evaluation import bootstrap, controls, metrics
from motiongan.evaluation.evaluate import NUM_DRAWS
from motiongan.evaluation.figures import FIGURES, OVERALL, Estimate, Row, actions_of, written
from motiongan.evaluation.inputs import EvaluationInputs
from motiongan.evaluation.recognizer import NAME
from motiongan.files import write_json, write_whole

REAL = "held-out real"
JSON_NAME, HTML_NAME = "report.json", "report.html"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1180px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.6em } h2 { margin-top: 2em; border-bottom: 1px solid #ddd } img { max-width: 100% }
table { border-collapse: collapse; font-size: 0.88em } .wide { overflow-x: auto }
th, td { padding: 0.3em 0.7em; text-align: right; border-bottom: 1px solid #eee; vertical-align: top }
th:first-child, td:first-child, td.text { text-align: left } td.text { color: #555; max-width: 40em }
td.label { white-space: nowrap; text-align: left; color: #555 }
td.real { background: #f4f1ea } small { color: #777; display: block } thead th { position: sticky; top: 0;
background: #fff } tr.group td { font-weight: 600; padding-top: 1.2em } .note { color: #555 }
"""


@dataclass(frozen=True)
class Picture:
    """A picture of the report: its heading, what it shows, and the PNG."""

    heading: str
    text: str
    png: bytes


def report_facts(inputs: EvaluationInputs, rows: Mapping[str, Row], *, seed: int, body: str) -> dict[str, Any]:
    """All that report.json holds; the same for the same inputs and seed."""
    import numpy as np
    import torch

    from motiongan import __version__

    accuracy = rows[REAL][OVERALL]["accuracy"] if REAL in rows else None
    return {
        "format": "motiongan.evaluation",
        "version": 1,
        "versions": {"motiongan": __version__, "torch": torch.__version__, "numpy": np.__version__},
        "recognizer": {
            "name": NAME,
            "seed": seed,
            "trained_on_clips": len([clip for clip in inputs.train if clip.action in inputs.actions]),
            "held_out_accuracy": None if accuracy is None else _estimate(accuracy),
        },
        "protocol": {
            "seed": seed,
            "window_frames": inputs.window,
            "frame_rate": inputs.sources["data"]["frame_rate"],
            "body": body,
            "actions": list(inputs.actions),
            "actions_left_out": list(inputs.left_out),
            "held_out_subjects": list(inputs.held_out_subjects),
            "held_out_from": inputs.held_out_from,
            "neighbours": metrics.NEIGHBOURS,
            "equal_count_draws": NUM_DRAWS,
            "interval": "95 % percentile bootstrap over clips, within each action",
            "bootstrap_draws": bootstrap.DRAWS,
        },
        "sources": inputs.sources,
        "rows": {
            label: {
                action: {name: _estimate(estimate) for name, estimate in figures.items()}
                for action, figures in row.items()
            }
            for label, row in rows.items()
        },
    }


def write_report(folder: Path, facts: Mapping[str, Any], rows: Mapping[str, Row], pictures: Sequence[Picture]) -> None:
    """Write report.json and report.html into a folder, which is made where it is missing."""
    write_json(folder / JSON_NAME, facts)
    write_whole(folder / HTML_NAME, _page(facts, rows, pictures).encode())


def _estimate(estimate: Estimate) -> dict[str, float | int | None]:
    def plain(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        "value": plain(estimate.value),
        "low": plain(estimate.low),
        "high": plain(estimate.high),
        "clips": estimate.clips or None,
    }


def _page(facts: Mapping[str, Any], rows: Mapping[str, Row], pictures: Sequence[Picture]) -> str:
    protocol, made = facts["protocol"], [label for label in rows if label != REAL]
    title = f"How good is {' and '.join(label for label in made if not label.startswith('control'))}?"
    parts = [
        f"<h1>{_text(title)}</h1>",
        "<p>Generated motion was measured beside real motion of people whom the generator never saw. Read every figure"
        f" beside the <b>{REAL}</b> column: real motion does not score 0 % or 100 % either, and no generator needs to"
        " be better than it. The brackets under a figure are its 95 % interval: how far it would move with other clips"
        " of the same origin.</p>",
        f"<p class=note>{_text(_set_up(facts))}</p>",
        "<h2>All figures</h2>",
        _overall(rows),
        *_pictures(pictures[:1]),
        "<h2>Action by action</h2>",
        _by_action(rows),
        *_pictures(pictures[1:]),
    ]
    if any(label.startswith("control") for label in rows):
        parts.append("<h2>Controls</h2><p>Motion spoilt on purpose, to show that the ruler measures.</p><ul>")
        parts += [f"<li><b>{_text(name)}</b>: {_text(text)}</li>" for name, text in controls.CONTROLS.items()]
        parts.append("</ul>")
    parts += ["<h2>How it was measured</h2>", _method(facts), _sources(facts)]
    if protocol["actions_left_out"]:
        parts.append(f"<p>Not measured, since no training clip has them: {_text(protocol['actions_left_out'])}.</p>")
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


def _overall(rows: Mapping[str, Row]) -> str:
    heads = "".join(f"<th>{_text(label)}</th>" for label in rows)
    lines = [f"<div class=wide><table><thead><tr><th>figure</th>{heads}<th></th></tr></thead>"]
    group = ""
    for name, figure in FIGURES.items():
        if figure.group != group:
            group = figure.group
            lines.append(f"<tr class=group><td colspan={len(rows) + 2}>{_text(group)}</td></tr>")
        cells = "".join(_cell(name, label, row.get(OVERALL, {}).get(name)) for label, row in rows.items())
        good = f"<small>{_text(figure.good)}</small>" if figure.good else ""
        lines.append(
            f"<tr><td>{_text(figure.heading)}{good}</td>{cells}<td class=text>{_text(figure.meaning)}</td></tr>"
        )
    return "\n".join([*lines, "</table></div>"])


def _by_action(rows: Mapping[str, Row]) -> str:
    shown = [name for name, figure in FIGURES.items() if figure.per_action]
    heads = "".join(f"<th>{_text(FIGURES[name].heading)}</th>" for name in shown)
    lines = [f"<div class=wide><table><thead><tr><th>action</th><th>clips</th>{heads}</tr></thead>"]
    for action in actions_of(rows):
        for label, row in rows.items():
            if action in row and not label.startswith("control"):
                cells = "".join(_cell(name, label, row[action].get(name), brackets=False) for name in shown)
                lines.append(f"<tr><td>{_text(action)}</td><td class=label>{_text(label)}</td>{cells}</tr>")
    return "\n".join([*lines, "</table></div>"])


def _cell(name: str, label: str, estimate: Estimate | None, *, brackets: bool = True) -> str:
    kind = " class=real" if label == REAL else ""
    text = _text(written(name, estimate))
    if brackets and estimate is not None and not math.isnan(estimate.low):
        bounds = written(name, estimate, interval=True).partition(" ")[2]
        text += f"<small>{_text(bounds)}<br>n = {estimate.clips}</small>"
    return f"<td{kind}>{text}</td>"


def _method(facts: Mapping[str, Any]) -> str:
    protocol, recognizer = facts["protocol"], facts["recognizer"]
    return (
        f"<p>The recognizer ({_text(recognizer['name'])}, seed {recognizer['seed']}) is a small convolutional network"
        f" on joint positions and velocities, trained on {recognizer['trained_on_clips']} real clips of the training"
        " subjects; distances, diversity and neighbourhoods are taken in its 32 features. Figures of reports with"
        " another recognizer, data or actions do not compare. FID, recall and coverage are means over"
        f" {protocol['equal_count_draws']} draws of as many windows of each action as the held-out people have."
        f" Neighbourhoods reach to the {protocol['neighbours']}th neighbour within the action (Naeem et al. 2020). In"
        f" the {REAL} column, figures to the held-out clips are those of the training clips. Intervals:"
        f" {_text(protocol['interval'])}, {protocol['bootstrap_draws']} draws; n is the number of clips drawn from,"
        " which for recall and coverage are the real ones.</p>"
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


def _pictures(pictures: Sequence[Picture]) -> list[str]:
    return [
        f"<h2>{_text(picture.heading)}</h2><p>{_text(picture.text)}</p>"
        f'<img alt="{_text(picture.heading)}" src="data:image/png;base64,{base64.b64encode(picture.png).decode()}">'
        for picture in pictures
    ]


def _text(value: Any) -> str:
    return html.escape(", ".join(value) if isinstance(value, list) else str(value))
