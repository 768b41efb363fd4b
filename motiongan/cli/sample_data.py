"""Make a motion file of made-up athletes, for trying the tool; not for training estimators."""

import argparse

from motiongan.errors import MotionganError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan sample-data`."""
    parser.add_argument("--out", required=True, metavar="FILE", help="motion file (.h5) to write")
    parser.add_argument("--clips-per-action", type=int, default=40, metavar="N", help="default: 40")
    parser.add_argument("--subjects", type=int, default=40, metavar="N", help="made-up athletes (default: 40)")
    parser.add_argument("--actions", default="all", metavar="A,B", help="all (default), or some: walk,run")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other athletes (default: 0)")
    parser.add_argument("--frame-rate", type=float, default=30.0, metavar="HZ", help="default: 30")
    parser.add_argument("--spec", metavar="YAML", help="specification (default: motiongan's own, data/athletes.yaml)")
    parser.add_argument("--force", action="store_true", help="replace --out if it exists")


def execute(args: argparse.Namespace) -> int:
    """Synthesise the clips into a motion file of kind `sample`, with progress on stderr."""
    import torch

    from motiongan.athletes.spec import load_spec
    from motiongan.athletes.synthesis import LICENCE, synthesize
    from motiongan.body.smpl import load_body
    from motiongan.cli.progress import clip_progress
    from motiongan.motion.actions import select_actions
    from motiongan.motion.store import MotionWriter, check_output

    for option, value in (("--clips-per-action", args.clips_per_action), ("--subjects", args.subjects)):
        if value < 1:
            raise MotionganError(f"{option} is {value}, expected at least 1")
    if args.seed < 0:
        raise MotionganError(f"--seed is {args.seed}, expected 0 or more")
    if not 10 <= args.frame_rate <= 240:
        raise MotionganError(f"--frame-rate is {args.frame_rate:g}, expected 10 to 240 Hz")
    check_output(args.out, force=args.force)
    # Millions of 3 x 3 matrices: threads would only wait for each other (measured: five times slower on busy cores).
    torch.set_num_threads(1)
    spec = load_spec(args.spec)
    actions = select_actions(args.actions, tuple(spec.actions), args.spec or "the specification")
    body = load_body()
    clips = synthesize(
        spec,
        body,
        clips_per_action=args.clips_per_action,
        subjects=args.subjects,
        seed=args.seed,
        frame_rate=args.frame_rate,
        actions=actions,
    )
    total = args.clips_per_action * len(actions)
    writer = MotionWriter(
        args.out,
        frame_rate=args.frame_rate,
        kind="sample",
        body_model=body.name,
        licence=LICENCE,
        actions=actions,
        provenance={"seed": args.seed},
        force=args.force,
    )
    with writer, clip_progress(clips, total) as shown:
        for clip in shown:
            writer.write(clip)
    subjects = min(args.subjects, args.clips_per_action)
    print(f"{args.out}: {total} clips of {subjects} made-up athletes: {', '.join(actions)}")
    return 0
