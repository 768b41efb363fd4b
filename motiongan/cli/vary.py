"""Make variations of the clips of a motion file, without training a model."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motiongan.errors import MotionganError

_LEAST_FRAMES = 4  # a shorter clip is a pose, not a movement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan vary`."""
    parser.add_argument("data", metavar="FILE", help="motion file (.h5) of labelled clips, captured or generated")
    parser.add_argument("-n", type=int, default=8, metavar="N", help="variations of every clip (default: 8)")
    parser.add_argument("--out", required=True, metavar="FILE", help="motion file (.h5) to write")
    parser.add_argument(
        "--action", default="all", help="of clips of this action only, or several: a,b,c (default: all)"
    )
    parser.add_argument(
        "--recombine",
        action="store_true",
        help="trunk and each arm move as in any clip of the action, out of step with the legs: less natural, worth more"
        " to a pose estimator (docs/augmentation.md)",
    )
    parser.add_argument(
        "--betas",
        choices=("own", "random"),
        default="own",
        help="body shapes: the clips' own (default); random: each variation another, one standard deviation around it",
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other variations (default: 0)")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body model of the clips (default: motiongan's own)")
    parser.add_argument("--force", action="store_true", help="replace --out if it exists")


def execute(args: argparse.Namespace) -> int:
    """Write the variations, with progress on stderr."""
    import torch

    from motiongan.cli.progress import clip_progress
    from motiongan.generation.variations import vary
    from motiongan.motion.actions import select_actions
    from motiongan.motion.store import MotionFile, MotionWriter, check_output
    from motiongan.motion.windows import DataConfig
    from motiongan.training.dataset import load_training_data

    if args.n < 1:
        raise MotionganError(f"-n is {args.n}, expected at least 1")
    if not 0 <= args.seed < 2**63:
        raise MotionganError(f"--seed is {args.seed}, expected 0 or more, below 2^63")
    check_output(args.out, force=args.force)
    torch.set_num_threads(1)  # many small matrices: threads would only wait for each other
    with MotionFile(args.data) as file:
        actions = tuple(select_actions(args.action, file.actions, args.data))
        rate, known = file.frame_rate, _known_people(file.attributes, file.kind)
    config = DataConfig(actions=actions, held_out_share=0, frame_rate=rate, min_frames=_LEAST_FRAMES)
    data = load_training_data(args.data, config, args.body)
    counts = {action: sum(clip.action == action for clip in data.train) for action in data.actions}
    alone = [action for action, count in counts.items() if count == 1]
    if len(alone) == len(counts) and not args.recombine:
        raise MotionganError(
            f"{args.data}: no action has two clips, and a variation takes its posture from another clip of its action;"
            " give more clips, or --recombine, which takes it from other times of the same"
        )
    total = args.n * len(data.train)
    bones = data.bones if args.betas == "random" else None
    clips = vary(data.train, data.skeletons(), args.n, seed=args.seed, recombine=args.recombine, bones=bones)
    writer = MotionWriter(
        args.out,
        frame_rate=data.frame_rate,
        kind="generated",
        body_model=data.body_model,
        licence=data.licence,
        actions=data.actions,
        provenance={
            "checkpoint": "none",
            "seed": args.seed,
            "training_data": data.content_hash,
            "config": json.dumps(
                {"variations": args.n, "recombine": args.recombine, "betas": args.betas, "actions": list(actions)}
            ),
            **(known or {"subjects": json.dumps(sorted({clip.subject for clip in data.train}))}),
        },
        force=args.force,
    )
    with writer, clip_progress(clips, total) as shown:
        for clip in shown:
            writer.write(clip)
    print(f"{args.out}: {total} variations of {len(data.train)} clips of {', '.join(data.actions)}")
    if alone and not args.recombine:
        print(f"captured once, so nobody else's posture: {', '.join(alone)}")
    return 0


def _known_people(attributes: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """What a generated file says of the people behind its clips, whose own names are made up; {} for a captured one."""
    return {name: attributes[name] for name in ("subjects", "held_out") if kind == "generated" and name in attributes}
