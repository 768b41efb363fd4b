"""Render clips as annotated pictures, masks and depth of clothed people, or as video."""

import argparse
import os
from pathlib import Path

from motiongan.errors import MotionganError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `motiongan render`."""
    parser.add_argument("file", type=Path, metavar="FILE", help="motion file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--action", metavar="A", help="only clips of this action, or of several: a,b,c")
    which.add_argument("--clips", metavar="LIST", help="numbers of clips, from 0: 0,5,10-20 (default: all)")
    parser.add_argument(
        "--size", type=int, default=512, metavar="N", help="pixels of the picture's sides (default: 512)"
    )
    parser.add_argument("--views", type=int, default=1, metavar="N", help="cameras around each clip (default: 1)")
    parser.add_argument(
        "--frames", default="all", metavar="WHICH", help="all (default), every:N or count:N of each clip"
    )
    parser.add_argument("--fps", type=float, metavar="HZ", help="resample the motion to this rate (default: as it is)")
    parser.add_argument(
        "--scene",
        default="mixed",
        metavar="S",
        help="studio, plain, track, pitch, hall, mixed (default), or a folder of background pictures",
    )
    parser.add_argument("--people", type=int, default=1, metavar="K", help="people in each scene (default: 1)")
    parser.add_argument(
        "--format", default="frames", metavar="F", help="frames (default), video, both, or meshes: an .npz per clip"
    )
    parser.add_argument(
        "--texture",
        metavar="PATH",
        help="picture for the body's surface, or a folder of them (default: painted clothes)",
    )
    parser.add_argument("--clean", action="store_true", help="no motion blur, noise or JPEG artefacts")
    parser.add_argument("--shards", type=int, default=0, metavar="N", help="also pack WebDataset shards of N frames")
    parser.add_argument("--body", type=Path, metavar="FILE", help="body model (default: the one that comes along)")
    parser.add_argument("--seed", type=int, default=0, help="scene i depends on (seed, i) (default: 0)")
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: one for each core)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--force", action="store_true", help="replace a render in --out, or write beside other files")


def execute(args: argparse.Namespace) -> int:
    """Render, with a bar on stderr, and tell what was written."""
    from tqdm import tqdm

    from motiongan.motion.actions import select_actions
    from motiongan.motion.store import MotionFile
    from motiongan.rendering.rendering import RenderOptions
    from motiongan.rendering.run import render_run

    if args.resume and args.force:
        raise MotionganError("--resume and --force: choose one; --force throws away what --resume would go on with")
    if args.shards < 0:
        raise MotionganError(f"--shards {args.shards}: expected a number of frames")
    clips = None if args.clips is None else parse_numbers(args.clips)
    if args.action is not None:
        with MotionFile(args.file) as file:
            names = select_actions(args.action, file.actions, str(args.file))
            wanted = {file.actions.index(name) for name in names}
            clips = [index for index, action in enumerate(file.action_ids.tolist()) if action in wanted]
        if not clips:
            raise MotionganError(f"{args.file}: no clips of {args.action}")
    options = RenderOptions(
        size=args.size,
        views=args.views,
        frames=args.frames,
        frame_rate=args.fps,
        scene=args.scene,
        people=args.people,
        form=args.format,
        seed=args.seed,
        clean=args.clean,
        texture=args.texture,
    )
    workers = args.workers
    if workers is None:
        workers = 1 if args.device.startswith("cuda") else len(os.sched_getaffinity(0))
    with tqdm(unit="frame", dynamic_ncols=True, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        summary = render_run(
            args.file,
            args.out,
            options,
            body=args.body,
            clips=clips,
            workers=workers,
            device=args.device,
            resume=args.resume,
            force=args.force,
            samples_per_shard=args.shards,
            on_progress=show,
        )
    for notice in summary.notices:
        print(notice)
    resumed = f", {summary.resumed} of them already there" if summary.resumed else ""
    what = "meshes" if args.format == "meshes" else "pictures"
    print(f"{args.out}: {summary.frames} {what} of {summary.scenes} clips{resumed}")
    return 0


def parse_numbers(text: str) -> list[int]:
    """Clip numbers of a list such as 0,5,10-20."""
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise MotionganError(f"--clips {text}: expected numbers and ranges such as 0,5,10-20")
        numbers += range(int(first), int(last if dash else first) + 1)
    return numbers
