"""Draw a contact sheet of rendered frames: one clip of each action in a row, seen by several cameras.

python tools/render_sheet.py amass.h5 --out docs/renders.png [--actions run,walk,...] [--views 3] [--size 256]
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from motiongan.errors import MotionganError
from motiongan.motion.actions import select_actions
from motiongan.motion.store import MotionFile, check_output
from motiongan.rendering.images import read_png
from motiongan.rendering.rendering import RenderOptions, scene_name
from motiongan.rendering.run import render_run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="motion file")
    parser.add_argument("--out", type=Path, required=True, metavar="PICTURE", help=".png or .jpg")
    parser.add_argument("--actions", default="", help="a,b,c; default: the eight with most clips")
    parser.add_argument("--views", type=int, default=3, help="cameras of each clip")
    parser.add_argument("--columns", type=int, default=6, help="pictures in a row")
    parser.add_argument("--size", type=int, default=256, help="pixels of a picture's side on the sheet")
    parser.add_argument("--people", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true")
    arguments = parser.parse_args()
    try:
        check_output(arguments.out, force=arguments.force)
        sheet(arguments).save(arguments.out)
    except MotionganError as error:
        print(f"render_sheet: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def sheet(arguments: argparse.Namespace) -> Image.Image:
    """Frames spread over each clip, rendered at twice the size and drawn down."""
    random = np.random.default_rng(arguments.seed)
    with MotionFile(arguments.file) as file:
        if arguments.actions:
            names = select_actions(arguments.actions, file.actions, str(arguments.file))
        else:
            counts = np.bincount(file.action_ids[file.action_ids >= 0], minlength=len(file.actions))
            names = [file.actions[index] for index in np.argsort(-counts, kind="stable")[:8]]
        clips = [int(random.choice(np.flatnonzero(file.action_ids == file.actions.index(name)))) for name in names]
    options = RenderOptions(
        size=2 * arguments.size,
        views=arguments.views,
        frames=f"count:{arguments.views + 2}",
        people=arguments.people,
        seed=arguments.seed,
    )
    pictures = []
    with tempfile.TemporaryDirectory() as folder:
        render_run(arguments.file, Path(folder) / "run", options, clips=clips)
        for clip, name in zip(clips, names):
            for view in range(arguments.views):
                frames = sorted((Path(folder) / "run" / "images" / f"{scene_name(clip, name)}_view{view}").iterdir())
                picture = Image.fromarray(read_png(frames[min(view + 1, len(frames) - 1)]))
                pictures.append(picture.resize((arguments.size, arguments.size), Image.Resampling.LANCZOS))
    rows = -(-len(pictures) // arguments.columns)
    whole = Image.new("RGB", (arguments.columns * arguments.size, rows * arguments.size), "white")
    for place, picture in enumerate(pictures):
        row, column = divmod(place, arguments.columns)
        whole.paste(picture, (column * arguments.size, row * arguments.size))
    return whole


if __name__ == "__main__":
    sys.exit(main())
