"""Stick figures as a stream of square pictures, for videos: quick to draw, the camera follows."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from motiongan.body.skeleton import JOINT, NUM_JOINTS, PARENTS
from motiongan.motion.clip import Clip
from motiongan.rendering.stick_figure import LEFT, RIGHT, TRUNK, HasSkeleton, best_view, figure_points

_BACKGROUND, _GROUND, _MARK, _TEXT = "#ffffff", "#efe9df", "#c9bfae", "#777777"
_HIGH, _LOW = 2.25, -0.35  # metres shown above and below the ground; more where the clip goes higher
_LIMB = 0.045  # metres, width of a drawn limb
_HEAD_RADIUS = 0.09  # metres
_SOFT = 2  # drawn so many times larger, then shrunk: smooth edges
_FOLLOWED = 31  # frames over which the camera's way is averaged
_HEELS, _BALLS = (NUM_JOINTS, NUM_JOINTS + 1), (NUM_JOINTS + 2, NUM_JOINTS + 3)  # order of figure_points
_HEAD, _NOSE = NUM_JOINTS + 4, NUM_JOINTS + 5
_SIDES = ("left", "right")
# (point, point, colour) of every limb
_LIMBS = [
    *(
        (PARENTS[joint], joint, LEFT if name.startswith("left") else RIGHT if name.startswith("right") else TRUNK)
        for name, joint in JOINT.items()
        if joint
    ),
    *((JOINT[f"{side}_ankle"], _HEELS[i], (LEFT, RIGHT)[i]) for i, side in enumerate(_SIDES)),
    *((_HEELS[i], _BALLS[i], (LEFT, RIGHT)[i]) for i in range(len(_SIDES))),
    (_HEAD, _NOSE, TRUNK),
]


def stick_pictures(clip: Clip, body: HasSkeleton, size: int) -> Iterator[UInt8[ndarray, "height width 3"]]:
    """The clip frame by frame as pictures of size x size pixels, from where its motion shows best.

    Left limbs are blue, right ones orange. Marks on the ground, half a metre apart, pass by with the travel.
    """
    from PIL import Image, ImageDraw

    points = figure_points(clip, body)
    view = best_view(points, clip.duration)
    flat, nearness = view.flatten(points), view.nearness(points)
    middle = _smooth(flat[:, 0, 0])
    high = max(_HIGH, float(flat[..., 1].max()) + 0.2)
    low = min(_LOW, float(flat[..., 1].min()) - 0.1)
    scale = size * _SOFT / (high - low)  # pixels per metre
    half = (high - low) / 2

    def pixel(x: float, z: float, centre: float) -> tuple[float, float]:
        return (x - centre + half) * scale, (high - z) * scale

    for frame, (figure, near, centre) in enumerate(zip(flat, nearness, middle)):
        picture = Image.new("RGB", (size * _SOFT, size * _SOFT), _BACKGROUND)
        draw = ImageDraw.Draw(picture)
        draw.rectangle([0, high * scale, size * _SOFT, size * _SOFT], fill=_GROUND)
        for mark in np.arange(np.ceil((centre - half) * 2), (centre + half) * 2) / 2:
            draw.line(
                [pixel(mark, 0, centre), pixel(mark, -0.08, centre)], fill=_MARK, width=max(1, round(scale * 0.015))
            )
        places = [pixel(x, z, centre) for x, z in figure]
        order = sorted(_LIMBS, key=lambda limb: near[limb[0]] + near[limb[1]])
        for start, end, colour in order:
            draw.line([places[start], places[end]], fill=colour, width=round(_LIMB * scale))
            for x, y in (places[start], places[end]):  # round ends
                radius = _LIMB * scale / 2
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
        x, y = places[_HEAD]
        radius = _HEAD_RADIUS * scale
        draw.ellipse(
            [x - radius, y - radius, x + radius, y + radius], fill=_BACKGROUND, outline=TRUNK, width=round(0.02 * scale)
        )
        text = f"{clip.action or 'no label'}   {frame / clip.frame_rate:.2f} s"
        draw.text((0.03 * size * _SOFT, 0.02 * size * _SOFT), text, fill=_TEXT, font_size=0.045 * size * _SOFT)
        yield np.asarray(picture.reduce(_SOFT))


def _smooth(positions: ndarray) -> ndarray:
    """Positions averaged over neighbouring frames, the ends held: a camera that follows calmly."""
    half = _FOLLOWED // 2
    padded = np.concatenate([np.repeat(positions[:1], half), positions, np.repeat(positions[-1:], half)])
    return np.convolve(padded, np.full(_FOLLOWED, 1 / _FOLLOWED), mode="valid")
