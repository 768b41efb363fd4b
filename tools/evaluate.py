"""Measure files of generated clips beside held-out real clips, and print the tables.

    python tools/evaluate.py aug.h5 [other.h5 ...] --data amass.h5 --held-out hdm_mm,cmu_016

All other subjects of --data are the training clips that the figures compare with: give the held-out subjects that the
model was trained without. Several files are measured against one recognizer.
"""

import argparse
import json
import sys
from pathlib import Path

from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.evaluation.evaluate import Evaluator, action_table, overall_table
from motiongan.evaluation.recognizer import NAME
from motiongan.motion.store import read_clips


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generated", nargs="+", type=Path, help="motion files to measure")
    parser.add_argument("--data", required=True, type=Path, help="motion file of the real clips")
    parser.add_argument("--held-out", required=True, help="subjects of --data that were not trained on: a,b,c")
    parser.add_argument("--body", type=Path, help="body model file (default: the built-in body)")
    parser.add_argument("--seed", type=int, default=0, help="of the recognizer's training and of draws")
    parser.add_argument("--json", type=Path, help="also write all figures here")
    arguments = parser.parse_args()
    try:
        results = measure(arguments)
    except MotionganError as error:
        print(f"evaluate: error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"recognizer {NAME}, seed {arguments.seed}\n")
    print(overall_table(results) + "\n")
    print(action_table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1).replace("NaN", "null"))
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, dict[str, float]]]:
    """Figures by file name (and "held-out"), action and name."""
    real = [clip for clip in read_clips(arguments.data) if clip.action is not None]
    subjects = {name.strip() for name in arguments.held_out.split(",")}
    if unknown := subjects - {clip.subject for clip in real}:
        known = ", ".join(sorted({clip.subject for clip in real}))
        raise MotionganError(f"{arguments.data}: no subject {', '.join(sorted(unknown))}; it has {known}")
    sets = {path.stem: read_clips(path) for path in arguments.generated}
    if len(sets) < len(arguments.generated):
        raise MotionganError("two of the generated files have the same name; rename one")
    made = [clip for clips in sets.values() for clip in clips]
    train_actions = {clip.action for clip in real if clip.subject not in subjects}
    actions = sorted({clip.action for clip in made if clip.action} & {action for action in train_actions if action})
    if not actions:
        raise MotionganError(f"{arguments.data}: none of the generated actions is among its training clips")
    evaluator = Evaluator(
        [clip for clip in real if clip.subject not in subjects],
        [clip for clip in real if clip.subject in subjects],
        actions=actions,
        seed=arguments.seed,
        body=load_body(arguments.body),
        window=sorted(clip.num_frames for clip in made)[len(made) // 2],
    )
    return {**{name: evaluator.measure(clips) for name, clips in sets.items()}, "held-out": evaluator.held_out}


if __name__ == "__main__":
    sys.exit(main())
