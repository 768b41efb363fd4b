"""Draw clips as stick figures: a contact sheet (.png) or one animated clip (.gif)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from motiongan.errors import MotionganError

if TYPE_CHECKING:
    from motiongan.motion.store import MotionFile

_ROWS = (8, 24)  # a sheet shows one clip of every action, but no fewer and no more rows than this

_SECONDS = 15.0  # an animation shows no more of a clip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="motion file")
    parser.add_argument("--out", type=Path, required=True, metavar="PICTURE", help="sheet.png or clip.gif")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--action", metavar="A", help="only clips of this action, or of several: a,b,c")
    which.add_argument("--clip", type=int, metavar="I", help="the clip with this number, counted from 0")
    parser.add_argument(
        "--count", type=int, metavar="N", help="clips on a sheet, spread over the actions (default: 8 to 24)"
    )
    parser.add_argument(
        "--poses", type=int, default=12, metavar="N", help="poses of each clip on a sheet (default: 12)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which clips are picked (default: 0)")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body model (default: the one that comes along)")
    parser.add_argument("--force", action="store_true", help="replace the picture if it exists")


def execute(args: argparse.Namespace) -> None:
    from motiongan.motion.store import MotionFile, check_output

    if args.out.suffix.lower() not in (".png", ".gif"):
        raise MotionganError(f"--out {args.out}: expected a name that ends in .png (contact sheet) or .gif (animation)")
    if args.count is not None and args.count < 1:
        raise MotionganError(f"--count {args.count}: expected at least 1")
    if args.poses < 1:
        raise MotionganError(f"--poses {args.poses}: expected at least 1")
    if args.seed < 0:
        raise MotionganError(f"--seed {args.seed}: expected 0 or more")
    check_output(args.out, force=args.force)
    animated = args.out.suffix.lower() == ".gif"
    if animated and (args.count or 1) > 1:
        raise MotionganError(f"--count {args.count}: an animation shows one clip; leave --count out, or draw a .png")
    with MotionFile(args.file) as file:
        chosen = _choose(file, args, animated)
        clips = [file[index] for index in chosen]
        body_model, kind, num_clips = file.body_model, file.kind, len(file)

    from dataclasses import replace

    from motiongan.body.smpl import load_body
    from motiongan.rendering.stick_figure import animate, save_contact_sheet

    body = load_body(args.body)
    if body.name != body_model:
        clips = [replace(clip, betas=clip.betas * 0) for clip in clips]
        print(f"{args.file}: its body shapes are for {body_model}, drawn with the mean body of {body.name}")
    if animated:
        num_frames = animate(clips[0], body, args.out, max_seconds=_SECONDS)
        part = f", the first {_SECONDS:.0f} s of {clips[0].duration:.0f}" if clips[0].duration > _SECONDS else ""
        label = clips[0].action or "no label"
        print(f"{args.out}: clip {chosen[0]} of {args.file} ({label}), {num_frames} frames{part}")
    else:
        save_contact_sheet(args.out, clips, body, num_poses=args.poses, title=f"{args.file.name}   ({kind})")
        print(f"{args.out}: {len(clips)} of the {num_clips} clips of {args.file}")


def _choose(file: "MotionFile", args: argparse.Namespace, animated: bool) -> list[int]:
    """Numbers of the clips to draw: the one asked for, or some drawn at random, the actions taking turns."""
    import numpy as np

    from motiongan.motion.actions import select_actions

    if args.clip is not None:
        if not 0 <= args.clip < len(file):
            raise MotionganError(f"--clip {args.clip}: {args.file} has {len(file)} clips, numbered from 0")
        if file.lengths[args.clip] == 0:
            raise MotionganError(f"--clip {args.clip}: has no frames")
        return [args.clip]
    if args.action is None:
        wanted = [*range(len(file.actions)), -1]
    else:
        names = select_actions(args.action, file.actions, str(args.file))
        wanted = [file.actions.index(name) for name in names]
    random = np.random.default_rng(args.seed)
    drawable = file.lengths > 0
    groups = [random.permutation(np.flatnonzero((file.action_ids == action) & drawable)).tolist() for action in wanted]
    groups = [group for group in groups if group]
    if not groups:
        raise MotionganError(f"{args.file}: no clips" + (f" of {args.action}" if args.action else ""))
    count = 1 if animated else args.count or min(max(len(groups), _ROWS[0]), _ROWS[1])
    turns = [(turn, group) for group, clips in enumerate(groups) for turn in range(len(clips))]
    taken = sorted((group, turn) for turn, group in sorted(turns)[:count])
    return [groups[group][turn] for group, turn in taken]
