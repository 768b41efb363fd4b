"""Stick figures: contact sheets to judge motion at a glance, and animations. Drawn with matplotlib, no display needed.

Left limbs are blue, right limbs orange, the trunk dark; the foot is the line from heel to ball, so that floating,
sinking and sliding show against the ground at z = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from numpy import ndarray
from torch import Tensor

from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, PARENTS, SOLE_NAMES
from motiongan.files import whole_file
from motiongan.motion.clip import Clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT, RIGHT, TRUNK = "#0072b2", "#d55e00", "#333333"  # told apart by colour-blind eyes too (Okabe and Ito)
_GROUND, _GROUND_LINE, _QUIET = "#efe9df", "#8a7f6d", "#777777"

# Points of a figure: the joints, the soles, then the middle of the head and a nose that shows where it looks.
_SOLE = {name: NUM_JOINTS + index for index, name in enumerate(SOLE_NAMES)}
_HEAD = NUM_JOINTS + len(SOLE_NAMES)
_NOSE = _HEAD + 1
_HEAD_RADIUS = 0.09  # metres; the head joint sits at the base of the skull, the middle about one radius above it
_POINT_NAMES = (*JOINT_NAMES, *SOLE_NAMES, "head_middle", "nose")

_SEGMENTS = np.array(
    [
        *((PARENTS[joint], joint) for joint in range(1, NUM_JOINTS)),
        *((JOINT[f"{side}_ankle"], _SOLE[f"{side}_heel"]) for side in ("left", "right")),
        *((_SOLE[f"{side}_heel"], _SOLE[f"{side}_ball"]) for side in ("left", "right")),
        (_HEAD, _NOSE),
    ]
)
_SEGMENT_COLOURS = np.array(
    [{"left": LEFT, "right": RIGHT}.get(_POINT_NAMES[end].split("_")[0], TRUNK) for _, end in _SEGMENTS]
)

_TRAVELS = 0.3  # m/s of net displacement from which a clip is seen across its travel
_NEAR_GROUND = 0.03  # metres: sole points lower than this leave a mark in the view from above
_PATH_FRAMES = 600  # the view from above draws no more frames than this


@runtime_checkable
class HasSkeleton(Protocol):
    """What drawing needs of a body."""

    def skeleton(self, betas: Float[Tensor, "*batch betas"]) -> Skeleton: ...


@dataclass(frozen=True)
class View:
    """A camera without perspective that looks along the ground.

    name     "side" or "front"
    across   (2,) unit vector in the ground plane that points to the right of the picture
    """

    name: str
    across: Float64[ndarray, "2"]

    def flatten(self, points: Float64[ndarray, "*points 3"]) -> Float64[ndarray, "*points 2"]:
        """Picture coordinates in metres: to the right, and up."""
        return np.stack([points[..., :2] @ self.across, points[..., 2]], axis=-1)

    def nearness(self, points: Float64[ndarray, "*points 3"]) -> Float64[ndarray, "*points"]:
        """Metres towards the viewer, which is across x up."""
        return points[..., :2] @ np.array([self.across[1], -self.across[0]])


def figure_points(
    clip: Clip, body: HasSkeleton, frames: Int64[ndarray, "frames"] | None = None
) -> Float64[ndarray, "frames points 3"]:
    """World positions of what is drawn, metres: 24 joints, 4 sole points, the middle of the head, the nose.

    frames   which frames of the clip; default all
    """
    import roma

    chosen = np.arange(clip.num_frames) if frames is None else frames
    with torch.no_grad():
        posed = forward_kinematics(
            roma.rotvec_to_rotmat(torch.from_numpy(clip.poses[chosen])),
            torch.from_numpy(clip.trans[chosen]),
            body.skeleton(torch.from_numpy(clip.betas)),
        )
        head_axes = posed.rotations[:, JOINT["head"]]  # columns: x to the left, y up, z ahead
        middle = posed.joints[:, JOINT["head"]] + _HEAD_RADIUS * head_axes[:, :, 1]
        nose = middle + 1.5 * _HEAD_RADIUS * head_axes[:, :, 2]
        points = torch.cat([posed.joints, posed.soles, middle[:, None], nose[:, None]], dim=1)
    return points.double().numpy()


def best_view(points: Float64[ndarray, "frames points 3"], duration: float) -> View:
    """The view that shows a motion best, of points as `figure_points` gives them; `duration` in seconds.

    A motion that travels is seen from the side with its travel to the right. One on the spot is seen from the
    side, facing right, or from the front where it moves more across than ahead (a jumping jack).
    """
    points = points[np.isfinite(points).all(axis=(1, 2))]
    if len(points) == 0:
        return View("side", np.array([1.0, 0.0]))
    pelvis = points[:, 0, :2]
    travel = pelvis[-1] - pelvis[0]
    distance = float(np.linalg.norm(travel))
    if distance > _TRAVELS * max(duration, 1.0):
        return View("side", travel / distance)
    hips = points[:, JOINT["left_hip"], :2] - points[:, JOINT["right_hip"], :2]
    ahead = np.array([hips[:, 1], -hips[:, 0]]).mean(axis=1)  # (left - right) x up
    length = float(np.linalg.norm(ahead))
    if length < 1e-6:  # no facing at all: somebody who turned a full circle, or lies
        return View("side", np.array([1.0, 0.0]))
    side, front = View("side", ahead / length), View("front", np.array([-ahead[1], ahead[0]]) / length)
    relative = points[..., :2] - pelvis[:, None]
    moves_ahead, moves_across = ((relative @ view.across).var(axis=0).sum() for view in (side, front))
    return front if moves_across > 1.3 * moves_ahead else side


def contact_sheet(
    clips: Sequence[Clip],
    body: HasSkeleton,
    *,
    num_poses: int = 12,
    max_seconds: float = 4.0,
    title: str = "",
    pixels_per_metre: float = 100.0,
) -> "Figure":
    """A figure with one row per clip: poses in the order of time on the ground line, and the path from above.

    num_poses         poses per row, evenly spaced in time; of a clip with fewer frames, every frame
    max_seconds       of a longer clip, its middle is shown
    pixels_per_metre  scale, the same for all rows
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not clips:
        raise ValueError("no clips to draw")
    rows = [_Row.of(clip, body, num_poses, max_seconds) for clip in clips]
    spacing = float(np.clip(max(row.reach for row in rows), 0.8, 1.4))
    low, high = (float(bound) for bound in np.clip(_heights(rows), [-1.0, 1.9], [-0.2, 4.0]))
    row_height, label_width = high - low + 0.15, 1.7
    strip = (label_width, label_width + num_poses * spacing)
    width, title_height = strip[1] + row_height, 0.4 if title else 0.0
    height = row_height * len(rows) + title_height

    figure = Figure(figsize=(width * pixels_per_metre / 100, height * pixels_per_metre / 100), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(title_height - height, title_height))
    axes.set_axis_off()
    scale = 0.72 * pixels_per_metre  # points (1/72 inch) per metre: text and lines grow with the picture

    grounds = -row_height * np.arange(1, len(rows) + 1) - low + 0.1  # y of z = 0, row by row
    flat: list[ndarray] = []
    depth: list[ndarray] = []
    for row, ground in zip(rows, grounds):
        places = strip[0] + spacing * (np.arange(len(row.poses)) + 0.5)
        axes.fill_between(strip, ground + low, ground, color=_GROUND, linewidth=0)
        axes.plot(strip, [ground, ground], color=_GROUND_LINE, linewidth=0.012 * scale, zorder=1)
        flat.append(row.flat() + np.stack([places, np.full(len(places), ground)], axis=-1)[:, None])
        depth.append(row.view.nearness(row.poses))
        _write_labels(axes, row, ground, high, places, scale)
        _draw_path(axes, row, (strip[1] + row_height / 2, ground + (low + high) / 2), 0.44 * row_height, scale)
    _draw_figures(axes, np.concatenate(flat), np.concatenate(depth), scale)
    if title:
        axes.text(0.1, title_height / 2, title, va="center", fontsize=0.24 * scale, fontweight="bold", color=TRUNK)
    return figure


def contact_sheet_image(
    clips: Sequence[Clip], body: HasSkeleton, *, num_poses: int = 10, title: str = "", pixels_per_metre: float = 60.0
) -> UInt8[ndarray, "height width 3"]:
    """The contact sheet as an RGB picture, for a training log; options as for `contact_sheet`."""
    figure = contact_sheet(clips, body, num_poses=num_poses, title=title, pixels_per_metre=pixels_per_metre)
    return _picture(figure)


def save_contact_sheet(
    path: str | Path, clips: Sequence[Clip], body: HasSkeleton, *, num_poses: int = 12, title: str = ""
) -> None:
    """Write the contact sheet as a PNG file, beside its target first, then renamed."""
    from PIL import Image

    figure = contact_sheet(clips, body, num_poses=num_poses, title=title)
    with whole_file(path) as temporary:
        Image.fromarray(_picture(figure)).save(temporary, format="PNG", optimize=True)


def animate(
    clip: Clip,
    body: HasSkeleton,
    path: str | Path,
    *,
    max_seconds: float = 15.0,
    max_frame_rate: float = 30.0,
    pixels_per_metre: float = 140.0,
) -> int:
    """Write a GIF in real time: the clip from the side and from the front, the camera following. Returns its frames.

    Marks on the ground, half a metre apart, pass by with the travel: a foot that stands moves with them.
    max_seconds   of a longer clip, its beginning is shown
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    stride = max(1, int(np.ceil(clip.frame_rate / max_frame_rate)))
    num_frames = min(clip.num_frames, max(1, round(max_seconds * clip.frame_rate)))
    points = figure_points(clip, body, np.arange(0, num_frames, stride))
    view = best_view(points, num_frames / clip.frame_rate)
    turned = View("front" if view.name == "side" else "side", np.array([-view.across[1], view.across[0]]))
    followed = _smooth(points[:, 0, :2])
    centred = points.copy()
    centred[..., :2] -= followed[:, None]
    reach = float(np.clip(1.1 * np.nan_to_num(np.abs(centred[..., :2])).max(), 0.8, 3.0))
    low, high = (float(bound) for bound in np.clip(_bounds(points[..., 2]), [-1.0, 1.9], [-0.2, 4.0]))
    stage = _Stage(((view, reach), (turned, 3 * reach)), reach, low, high + 0.3)

    size = np.array([4 * reach, stage.high - low]) * pixels_per_metre / 100
    figure = Figure(figsize=(size[0], size[1]), dpi=100)
    FigureCanvasAgg(figure)
    pictures: list[Image.Image] = []
    palette: Image.Image | None = None  # the first picture's: every picture has the same few colours
    for frame, (pose, middle) in enumerate(zip(centred, followed)):
        figure.clear()
        text = f"{clip.action or 'no label'}   {frame * stride / clip.frame_rate:.2f} s"
        stage.draw(figure, pose, middle, text, scale=0.72 * pixels_per_metre)
        picture = Image.fromarray(_picture(figure))
        palette = palette or picture.quantize(64)
        pictures.append(picture.quantize(palette=palette, dither=Image.Dither.NONE))
    # GIF counts hundredths of a second: rounding the times, not the durations, keeps the whole in real time.
    times = np.round(np.arange(len(pictures) + 1) * stride / clip.frame_rate * 100)
    durations = [int(10 * step) for step in np.diff(times)]
    with whole_file(path) as temporary:
        pictures[0].save(temporary, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return len(pictures)


@dataclass(frozen=True)
class _Stage:
    """Where an animation takes place: views side by side, each at its place (metres from the left edge).

    reach   half the width of a view, metres; low, high: lowest and highest z of the picture
    """

    views: tuple[tuple[View, float], ...]
    reach: float
    low: float
    high: float

    def draw(self, figure: "Figure", pose: ndarray, middle: ndarray, text: str, scale: float) -> None:
        """Draw one instant: `pose` (points, 3) with the camera's ground position `middle` (2,) taken away."""
        from matplotlib.collections import LineCollection

        width = 2 * self.reach * len(self.views)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(self.low, self.high))
        axes.set_axis_off()
        axes.fill_between([0, width], self.low, 0, color=_GROUND, linewidth=0)
        axes.plot([0, width], [0, 0], color=_GROUND_LINE, linewidth=0.012 * scale, zorder=1)
        top, size = self.high - 0.15, 0.12 * scale
        axes.text(0.1, top, text, va="center", fontsize=size, color=TRUNK)
        for view, place in self.views:
            offset = float(np.nan_to_num(middle @ view.across))
            numbers = np.arange(np.ceil((offset - self.reach) * 2), (offset + self.reach) * 2)
            marks = [[(number / 2 - offset + place, -0.06), (number / 2 - offset + place, 0)] for number in numbers]
            axes.add_collection(LineCollection(marks, colors=_GROUND_LINE, linewidths=0.01 * scale), autolim=False)
            axes.text(place + 0.95 * self.reach, top, view.name, ha="right", va="center", fontsize=size, color=_QUIET)
            flat = view.flatten(pose[None]) + np.array([place, 0.0])
            _draw_figures(axes, flat, view.nearness(pose[None]), scale)


@dataclass(frozen=True)
class _Row:
    """What one row of a contact sheet shows.

    poses    (poses, points, 3) the figures; times (poses,) their seconds from the clip's start
    path     (frames, points, 3) the same points over all frames, for the view from above
    speed    mean horizontal speed of the pelvis over the frames shown, m/s
    """

    clip: Clip
    view: View
    poses: Float64[ndarray, "poses points 3"]
    times: Float64[ndarray, "poses"]
    path: Float64[ndarray, "frames points 3"]
    speed: float

    @staticmethod
    def of(clip: Clip, body: HasSkeleton, num_poses: int, max_seconds: float) -> "_Row":
        if clip.num_frames == 0:
            raise ValueError("a clip without frames cannot be drawn")
        shown = min(clip.num_frames, max(num_poses, round(max_seconds * clip.frame_rate)))
        first = (clip.num_frames - shown) // 2
        at = first + np.unique(np.linspace(0, shown - 1, num_poses).round().astype(np.int64))
        along = first + np.unique(np.linspace(0, shown - 1, _PATH_FRAMES).round().astype(np.int64))
        path = figure_points(clip, body, along)
        steps = np.linalg.norm(np.diff(clip.trans[first : first + shown, :2], axis=0), axis=1)
        return _Row(
            clip=clip,
            view=best_view(path, shown / clip.frame_rate),
            poses=figure_points(clip, body, at),
            times=at / clip.frame_rate,
            path=path,
            speed=float(steps.mean() * clip.frame_rate) if len(steps) else 0.0,
        )

    def flat(self) -> Float64[ndarray, "poses points 2"]:
        """Picture coordinates of the poses in metres, each in the middle of its own place."""
        flat = self.view.flatten(self.poses)
        flat[..., 0] -= (flat[..., 0].min(axis=1) + flat[..., 0].max(axis=1))[:, None] / 2
        return flat

    @property
    def reach(self) -> float:
        """Width of a wide pose, metres: at most one pose in ten is wider, and may overlap with its neighbours."""
        return float(np.quantile(np.nan_to_num(2 * np.abs(self.flat()[..., 0])).max(axis=1), 0.9))


def _heights(rows: Sequence[_Row]) -> Float64[ndarray, "2"]:
    bounds = np.array([_bounds(row.poses[..., 2]) for row in rows])
    return np.array([bounds[:, 0].min(), bounds[:, 1].max()])


def _bounds(heights: ndarray) -> tuple[float, float]:
    finite = heights[np.isfinite(heights)]
    return (float(finite.min()) - 0.08, float(finite.max()) + 0.1) if finite.size else (0.0, 2.0)


def _draw_figures(
    axes: "Axes", flat: Float64[ndarray, "poses points 2"], depth: Float64[ndarray, "poses points"], scale: float
) -> None:
    """Draw poses at picture coordinates, the farthest limbs first; `scale` in points per metre."""
    from matplotlib.collections import EllipseCollection, LineCollection

    order = depth[:, _SEGMENTS].mean(axis=-1).argsort(axis=1)
    segments = np.take_along_axis(flat[:, _SEGMENTS], order[:, :, None, None], axis=1)
    colours = _SEGMENT_COLOURS[order]
    axes.add_collection(
        LineCollection(
            list(segments.reshape(-1, 2, 2)),
            colors=colours.ravel(),
            linewidths=0.035 * scale,
            capstyle="round",
            zorder=2,
        ),
        autolim=False,
    )
    diameter = np.full(len(flat), 2 * _HEAD_RADIUS)
    axes.add_collection(
        EllipseCollection(
            diameter,
            diameter,
            np.zeros(len(flat)),
            units="xy",
            offsets=flat[:, _HEAD],
            offset_transform=axes.transData,
            facecolors="#ffffff",
            edgecolors=TRUNK,
            linewidths=0.025 * scale,
            zorder=3,
        ),
        autolim=False,
    )


def _write_labels(axes: "Axes", row: _Row, ground: float, high: float, places: ndarray, scale: float) -> None:
    clip = row.clip
    small = 0.13 * scale
    top = ground + high
    axes.text(0.1, top, clip.action or "no label", va="top", fontsize=0.2 * scale, fontweight="bold", color=TRUNK)
    lines = [f"{clip.duration:.1f} s, {row.speed:.1f} m/s", f"from the {row.view.name}"]
    lines += [f"subject {clip.subject}"] if clip.subject else []
    axes.text(0.1, top - 0.33, "\n".join(lines), fontsize=small, linespacing=1.4, va="top", color=_QUIET)
    for time, place in zip(row.times, places):
        axes.text(place, ground - 0.09, f"{time:.2f} s", ha="center", fontsize=0.8 * small, va="top", color=_QUIET)


def _draw_path(axes: "Axes", row: _Row, centre: tuple[float, float], half: float, scale: float) -> None:
    """The view from above inside a square: pelvis path, shoulders at the poses' times, marks of the feet.

    The picture's right is the row's right. The square is as wide as the motion needs, at least 1.6 m; it says how wide.
    """
    from matplotlib.collections import LineCollection

    def above(points: ndarray) -> ndarray:
        return np.stack([points[..., :2] @ row.view.across, -row.view.nearness(points)], axis=-1)

    pelvis = above(row.path[:, 0])
    pelvis = pelvis[np.isfinite(pelvis).all(axis=1)]
    corners = np.stack([pelvis.min(axis=0), pelvis.max(axis=0)]) if len(pelvis) else np.zeros((2, 2))
    middle, metres = corners.mean(axis=0), max(1.6, float(np.ptp(corners, axis=0).max()) + 1.0)
    zoom = 2 * half / metres

    def place(points: ndarray) -> ndarray:
        return (above(points) - middle) * zoom + np.array(centre)

    sides = [centre[0] - half, centre[0] + half]
    axes.fill_between(sides, centre[1] - half, centre[1] + half, color=_GROUND, linewidth=0)
    shoulders = place(row.poses[:, [JOINT["left_shoulder"], JOINT["right_shoulder"]]])
    halves = np.concatenate([shoulders[:, [0]], shoulders.mean(axis=1, keepdims=True), shoulders[:, [1]]], axis=1)
    axes.add_collection(
        LineCollection(list(halves[:, :2]), colors=LEFT, linewidths=0.02 * scale, alpha=0.6), autolim=False
    )
    axes.add_collection(
        LineCollection(list(halves[:, 1:]), colors=RIGHT, linewidths=0.02 * scale, alpha=0.6), autolim=False
    )
    for side, colour in (("left", LEFT), ("right", RIGHT)):
        soles = row.path[:, [_SOLE[f"{side}_heel"], _SOLE[f"{side}_ball"]]].reshape(-1, 3)
        marks = place(soles[soles[:, 2] < _NEAR_GROUND])
        axes.plot(marks[:, 0], marks[:, 1], ".", color=colour, markersize=0.025 * scale, markeredgewidth=0)
    path = place(row.path[:, 0])
    axes.plot(path[:, 0], path[:, 1], color=TRUNK, linewidth=0.012 * scale)
    axes.plot(path[:1, 0], path[:1, 1], "o", color=TRUNK, markersize=0.06 * scale)
    text = f"above, {metres:.1f} m wide"
    axes.text(centre[0] - half, centre[1] + half, text, va="bottom", fontsize=0.1 * scale, color=_QUIET)


def _smooth(positions: Float64[ndarray, "frames 2"]) -> Float64[ndarray, "frames 2"]:
    """Positions averaged over 15 frames, the ends held: a camera that follows calmly."""
    padded = np.concatenate([positions[:1].repeat(7, 0), positions, positions[-1:].repeat(7, 0)])
    sums = np.concatenate([np.zeros((1, 2)), padded.cumsum(axis=0)])
    return (sums[15:] - sums[:-15]) / 15


def _picture(figure: "Figure") -> UInt8[ndarray, "height width 3"]:
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]
