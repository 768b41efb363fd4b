"""Sheets of recorded and generated clips in random order, for somebody who is to tell which is which.

    python tools/blind_test.py own.h5 amass.h5 --without cmu003 --seed 11 --out blind

Of each action of the generated file four of its clips and four pieces of recordings, drawn at random, as long and from
20 stick figures each. The recordings go through what generated motion goes through at the end (quiet joints steadied,
feet held, balance, flight), so that neither noise nor the floor tells. blind/key.json has the answers.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError
from motiongan.files import write_json
from motiongan.motion.clip import Clip
from motiongan.motion.features import decode, encode
from motiongan.motion.footing import settle
from motiongan.motion.resample import resample
from motiongan.motion.steadying import steady
from motiongan.motion.store import read_clips
from motiongan.rendering.stick_figure import save_contact_sheet

_EACH = 4  # clips of each kind on a sheet
_POSES = 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generated", type=Path)
    parser.add_argument("recorded", type=Path)
    parser.add_argument("--without", default="", metavar="A,B", help="people of the recordings who are left out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    arguments = parser.parse_args()
    try:
        _draw(arguments)
    except MotionganError as error:
        print(f"blind_test: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _draw(arguments: argparse.Namespace) -> None:
    body, random = load_body(None), np.random.default_rng(arguments.seed)
    made, recorded = read_clips(arguments.generated), read_clips(arguments.recorded)
    people = {clip.subject for clip in recorded} - set(arguments.without.split(","))
    arguments.out.mkdir(parents=True, exist_ok=True)
    key: dict[str, list[str]] = {}
    for action in sorted({clip.action for clip in made if clip.action is not None}):
        drawn = [clip for clip in made if clip.action == action]
        frames, rate = min(clip.num_frames for clip in drawn), drawn[0].frame_rate
        real = [resample(clip, rate) for clip in recorded if clip.action == action and clip.subject in people]
        real = [clip for clip in real if clip.num_frames >= frames]
        if not real or len(drawn) < _EACH:
            print(f"{action}: too few clips, no sheet")
            continue
        rows = []
        for number in random.choice(len(real), _EACH, replace=len(real) < _EACH):
            start = int(random.integers(0, real[number].num_frames - frames + 1))
            rows.append(("recorded", _settled(real[number].crop(start, start + frames), body)))
        for number in random.choice(len(drawn), _EACH, replace=False):
            rows.append(("generated", drawn[number].crop(0, frames)))
        rows = [rows[place] for place in random.permutation(len(rows))]
        key[action] = [kind for kind, _ in rows]
        clips = [replace(clip, source="", subject="", seed=None) for _, clip in rows]
        save_contact_sheet(arguments.out / f"{action}.png", clips, body, num_poses=_POSES)
    write_json(arguments.out / "key.json", key)


def _settled(clip: Clip, body: Body) -> Clip:
    skeleton, rate = body.skeleton(torch.from_numpy(clip.betas)), clip.frame_rate
    features = encode(torch.from_numpy(clip.poses), torch.from_numpy(clip.trans), skeleton, rate)[None]
    settled = settle(decode(steady(features, rate), skeleton, rate), skeleton, rate)
    return replace(clip, poses=settled.poses[0].numpy(), trans=settled.trans[0].numpy())


if __name__ == "__main__":
    sys.exit(main())
