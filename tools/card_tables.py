"""Print the tables of docs/model_card.md from the report.json of `motiongan evaluate`, in Markdown.

python tools/card_tables.py report/report.json [--set NAME]

Three tables: every overall figure beside the real rows, the main ones by action, and the measures of athletes.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from motiongan.errors import MotionganError
from motiongan.evaluation.athletics import MEASURES
from motiongan.evaluation.facts import CONTROL, REAL, TRAINING
from motiongan.evaluation.figures import FIGURES, OVERALL, Estimate, markdown_table, written

# By action: the model's figure, and in brackets the training clips'.
MAIN = ("accuracy", "kid", "coverage", "pose_diversity", "nn_mm", "skate_share", "off_balance_mm", "jerk_ratio")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, help="report.json")
    parser.add_argument("--set", metavar="NAME", help="generated file to show (default: the first of the report)")
    arguments = parser.parse_args()
    try:
        print("\n\n".join(tables(read_report(arguments.report), arguments.set)))
    except MotionganError as error:
        print(f"card_tables: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def read_report(path: Path) -> dict[str, Any]:
    """The facts of a report.json. Raises MotionganError for anything else."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MotionganError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except ValueError:
        facts = None
    if not isinstance(facts, dict) or facts.get("format") != "motiongan.evaluation":
        raise MotionganError(f"{path}: not a report.json of `motiongan evaluate`")
    return facts


def tables(facts: dict[str, Any], name: str | None = None) -> list[str]:
    """Overall figures, main figures by action, and measures of athletes of one generated file."""
    made = [label for label in facts["rows"] if label not in (REAL, TRAINING) and not label.startswith(CONTROL)]
    if name is not None and name not in made:
        raise MotionganError(f"--set {name}: the report has {', '.join(made)}")
    label = name or made[0]
    return [_overall(facts["rows"], label), _actions(facts["rows"], label), _athletes(facts["athletics"], label)]


def _overall(rows: dict[str, Any], label: str) -> str:
    shown = [["figure, overall", label, REAL, TRAINING]]
    for name, figure in FIGURES.items():
        found = [_estimate(rows.get(row, {}).get(OVERALL, {}).get(name)) for row in (label, REAL, TRAINING)]
        shown.append([figure.heading, *(written(name, one, interval=True) for one in found)])
    return markdown_table(shown)


def _actions(rows: dict[str, Any], label: str) -> str:
    shown = [["action (in brackets: training real)", *(FIGURES[name].heading for name in MAIN)]]
    for action in rows[label]:
        if action == OVERALL:
            continue
        cells = []
        for name in MAIN:
            mine, real = (written(name, _estimate(rows[row].get(action, {}).get(name))) for row in (label, TRAINING))
            cells.append(f"{mine} ({real})")
        shown.append([action, *cells])
    return markdown_table(shown)


def _athletes(athletics: dict[str, Any], label: str) -> str:
    """Wasserstein distances to the training clips: generated, other people, one half of the training clips."""
    shown = [["action", "measure", *(f"{row} to training" for row in (label, REAL)), "training, half to half"]]
    for action, measures in athletics[label].items():
        for name in MEASURES:
            if name in measures:
                cells = [_distance(name, athletics[row].get(action, {}).get(name)) for row in (label, REAL, TRAINING)]
                shown.append([action, MEASURES[name].heading, *cells])
    return markdown_table(shown)


def _distance(name: str, measure: dict[str, Any] | None) -> str:
    """A distance with its interval in the measure's unit, a dash where there is none."""
    found = None if measure is None else measure["distance_to_train"]
    if found is None or found["value"] is None:
        return "-"
    form = MEASURES[name].form
    if found["low"] is None:
        return form.format(found["value"])
    return f"{form.format(found['value'])} [{form.format(found['low'])}, {form.format(found['high'])}]"


def _estimate(found: dict[str, Any] | None) -> Estimate | None:
    if found is None or found["value"] is None:
        return None
    if found["low"] is None:
        return Estimate(found["value"])
    return Estimate(found["value"], found["low"], found["high"])


if __name__ == "__main__":
    sys.exit(main())
