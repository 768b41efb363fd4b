"""Looping stick figures for report.html: a fragment of HTML with its data and a few lines of JavaScript, no other file.

Points are whole millimetres in little-endian 16-bit numbers, base64 in the canvas's `data-motion`; the script reads
nothing else. Left limbs are blue, right limbs orange, the trunk dark, as on the contact sheets. Figures are turned so
that all of an action face one way at first; the ground moves past them, so that a sliding foot slides over its lines.
"""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import roma
import torch
from jaxtyping import Float

from motiongan.body.skeleton import JOINT, NUM_JOINTS, NUM_SOLE_POINTS, PARENTS, SOLE_JOINTS, SOLE_NAMES
from motiongan.evaluation.plots import pick
from motiongan.motion.clip import Clip
from motiongan.motion.features import heading_of
from motiongan.rendering.stick_figure import LEFT, RIGHT, TRUNK, HasSkeleton, figure_points

ROW = 6  # clips of an action, of all sets together
MOST_SECONDS = 4.0  # of a clip
BUDGET = 1_400_000  # characters of data: then fewer clips of each action are shown, then shorter ones
_HEAD = NUM_JOINTS + NUM_SOLE_POINTS  # the middle of the head; the nose is the next point
_POINTS = _HEAD + 2
_FURTHEST = 32.767  # metres that a 16-bit number of millimetres holds
_TALLEST = 2.0  # metres that a picture shows at least

_SIDES = {"left": 1, "right": 2}
_COLOURS = (TRUNK, LEFT, RIGHT)


@dataclass(frozen=True)
class Figure:
    """A moving figure: its label, a remark for who points at it, whether it is real, the rate (Hz) and the points.

    points   metres; starts above the origin and faces +x there
    """

    label: str
    remark: str
    real: bool
    frame_rate: float
    points: Float[np.ndarray, "frames points 3"]


def segments() -> list[tuple[int, int, int]]:
    """(from, to, side) of what is drawn as a line, by point number; side 0 is the trunk, 1 left, 2 right."""

    def side(name: str) -> int:
        return _SIDES.get(name.split("_")[0], 0)

    names = list(JOINT)
    drawn = [(PARENTS[joint], joint, side(names[joint])) for joint in range(1, NUM_JOINTS)]
    sole = {name: NUM_JOINTS + number for number, name in enumerate(SOLE_NAMES)}
    for name in ("left", "right"):
        heel, ball = sole[f"{name}_heel"], sole[f"{name}_ball"]
        drawn += [(SOLE_JOINTS[heel - NUM_JOINTS], heel, _SIDES[name]), (heel, ball, _SIDES[name])]
    return [*drawn, (_HEAD, _HEAD + 1, 0)]


def figure_of(clip: Clip, body: HasSkeleton, *, label: str, real: bool, seconds: float = MOST_SECONDS) -> Figure:
    """The clip's first seconds, moved and turned about the vertical axis to start at the origin, facing +x."""
    frames = np.arange(min(clip.num_frames, max(2, math.floor(seconds * clip.frame_rate))))
    points = figure_points(clip, body, frames)
    angle = -heading_of(roma.rotvec_to_rotmat(torch.from_numpy(clip.poses[0, 0]))).item()
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    points[..., :2] = (points[..., :2] - points[0, 0, :2]) @ turn.T
    remark = clip.subject if clip.seed is None else f"seed {clip.seed}"
    return Figure(label, remark, real, clip.frame_rate, np.clip(np.nan_to_num(points), -_FURTHEST, _FURTHEST))


def choose(
    generated: Mapping[str, Sequence[Clip]],
    real: Mapping[str, Sequence[Clip]],
    actions: Sequence[str],
    body: HasSkeleton,
    *,
    seed: int,
) -> dict[str, list[Figure]]:
    """Figures by action, drawn at random: of each generated set, then of the first real set that has the action.

    As many of each, and as long, as `BUDGET` holds.
    """
    most = max(1, ROW // (len(generated) + 1))
    for each, seconds in ((each, seconds) for seconds in (MOST_SECONDS, 2.0, 1.0) for each in range(most, 0, -1)):
        picked = {
            action: [
                (name, clip, name in real)
                for name, clips in {**generated, **_first_with(action, real)}.items()
                for clip in pick(clips, [action], each, seed=seed)
            ]
            for action in actions
        }
        frames = [min(clip.num_frames, seconds * clip.frame_rate) for row in picked.values() for _, clip, _ in row]
        if sum(frames) * _POINTS * 3 * 2 * 4 / 3 <= BUDGET:
            break
    return {
        action: [figure_of(clip, body, label=name, real=known, seconds=seconds) for name, clip, known in row]
        for action, row in picked.items()
        if row
    }


def _first_with(action: str, sets: Mapping[str, Sequence[Clip]]) -> dict[str, Sequence[Clip]]:
    found = ((name, clips) for name, clips in sets.items() if any(clip.action == action for clip in clips))
    return dict([first]) if (first := next(found, None)) else {}


def animations(figures: Mapping[str, Sequence[Figure]]) -> str:
    """The HTML of all figures, a row of canvases for every action, with the controls and the script; "" for none."""
    if not any(figures.values()):
        return ""
    parts = [_STYLE, _CONTROLS]
    for action, row in figures.items():
        height = max([_TALLEST, *(float(figure.points[..., 2].max()) for figure in row)])
        parts.append(f"<h3>{html.escape(action)}</h3><div class=figures>")
        parts += [_canvas(figure, height) for figure in row]
        parts.append("</div>")
    lines = ",".join(str(list(segment)) for segment in segments())
    script = _SCRIPT.replace("%SEGMENTS%", lines).replace("%POINTS%", str(_POINTS)).replace("%HEAD%", str(_HEAD))
    script = script.replace("%COLOURS%", ",".join(f'"{colour}"' for colour in _COLOURS))
    script = script.replace("%SOLES%", str(NUM_JOINTS))
    return "\n".join([*parts, "</section>", f"<script>{script}</script>"])


def _canvas(figure: Figure, height: float) -> str:
    data = base64.b64encode(np.rint(1000 * figure.points).astype("<i2").tobytes()).decode()
    kind = " class=real" if figure.real else ""
    return (
        f'<figure{kind} title="{html.escape(figure.remark)}"><canvas width=170 height=190'
        f' data-rate="{figure.frame_rate:g}" data-height="{height:.2f}" data-motion="{data}"></canvas>'
        f"<figcaption>{html.escape(figure.label)}</figcaption></figure>"
    )


_STYLE = """<style>
.figures { display: flex; flex-wrap: wrap; gap: 6px } .figures figure { margin: 0; border: 1px solid #ddd }
.figures figure.real { background: #f4f1ea } .figures canvas { width: 170px; height: 190px; display: block }
.figures figcaption { font-size: 0.75em; color: #555; text-align: center; max-width: 170px; padding-bottom: 2px }
#moving h3 { margin: 1em 0 0.3em; font-size: 1em } #moving label { margin-left: 1.2em }
</style>"""

_CONTROLS = """<section id=moving><noscript><p>The figures need JavaScript to move.</p></noscript>
<p><button type=button>Pause</button>
<label>speed <select><option value=1>1<option value=0.5>1/2<option value=0.25>1/4</select></label>
<label>turn <input type=range min=-180 max=180 value=-30></label></p>"""

# Orthographic: `along` is to the right of the picture, `deep` away from the viewer, who looks down by ELEVATION.
_SCRIPT = """
(() => {
"use strict";
const POINTS = %POINTS%, HEAD = %HEAD%, SOLES = %SOLES%, COLOURS = [%COLOURS%], SEGMENTS = [%SEGMENTS%];
const HOLD = 0.4, ELEVATION = 0.2, GRID = 0.5, REACH = 1.5, LOW = 0.03;
const page = document.getElementById("moving"), button = page.querySelector("button");
const speed = page.querySelector("select"), turn = page.querySelector("input");
const scale = Math.min(3, Math.max(1, window.devicePixelRatio || 1));
const cells = [...page.querySelectorAll("canvas")].map(canvas => {
  const bytes = Uint8Array.from(atob(canvas.dataset.motion), letter => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer), metres = new Float32Array(bytes.length / 2);
  for (let i = 0; i < metres.length; i++) metres[i] = view.getInt16(2 * i, true) / 1000;
  const frames = metres.length / (3 * POINTS), rate = +canvas.dataset.rate, half = Math.round(rate / 2);
  const follow = new Float32Array(2 * frames);  // the camera: the pelvis over a second
  for (let f = 0; f < frames; f++) for (let axis = 0; axis < 2; axis++) {
    const reach = Math.min(half, f, frames - 1 - f);
    let sum = 0;
    for (let g = f - reach; g <= f + reach; g++) sum += metres[3 * POINTS * g + axis];
    follow[2 * f + axis] = sum / (2 * reach + 1);
  }
  const width = canvas.width, height = canvas.height;
  canvas.width = width * scale; canvas.height = height * scale;
  const zoom = (height - 34) / +canvas.dataset.height;
  return {canvas, width, height, metres, follow, frames, rate, zoom, seen: true};
});
function draw(cell, seconds) {
  const c = cell.canvas.getContext("2d"), {metres, follow, frames} = cell;
  const time = Math.min((seconds % (frames / cell.rate + HOLD)) * cell.rate, frames - 1);
  const frame = Math.floor(time), part = time - frame, next = Math.min(frame + 1, frames - 1);
  const mix = (values, stride, i) => (1 - part) * values[stride * frame + i] + part * values[stride * next + i];
  const x0 = mix(follow, 2, 0), y0 = mix(follow, 2, 1), angle = turn.value * Math.PI / 180;
  const cos = Math.cos(angle), sin = Math.sin(angle), up = Math.cos(ELEVATION), tilt = Math.sin(ELEVATION);
  const place = (x, y, z) => {
    const along = (x - x0) * cos + (y - y0) * sin, deep = (y - y0) * cos - (x - x0) * sin;
    return [cell.width / 2 + cell.zoom * along, cell.height - 24 - cell.zoom * (up * z + tilt * deep), deep];
  };
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.clearRect(0, 0, cell.width, cell.height);
  const line = (a, b) => { c.beginPath(); c.moveTo(a[0], a[1]); c.lineTo(b[0], b[1]); c.stroke(); };
  c.lineCap = "round"; c.lineWidth = 1; c.strokeStyle = "#d3c9b8";
  for (let k = Math.ceil((x0 - REACH) / GRID); k * GRID <= x0 + REACH; k++)
    line(place(k * GRID, y0 - REACH, 0), place(k * GRID, y0 + REACH, 0));
  for (let k = Math.ceil((y0 - REACH) / GRID); k * GRID <= y0 + REACH; k++)
    line(place(x0 - REACH, k * GRID, 0), place(x0 + REACH, k * GRID, 0));
  const points = [], shadows = [];
  for (let p = 0; p < POINTS; p++) {
    const [x, y, z] = [0, 1, 2].map(axis => mix(metres, 3 * POINTS, 3 * p + axis));
    points.push(place(x, y, z)); shadows.push(place(x, y, 0));
    points[p].low = z < LOW;
  }
  c.strokeStyle = "rgba(90, 75, 50, 0.16)"; c.lineWidth = 4;
  for (const [a, b] of SEGMENTS) line(shadows[a], shadows[b]);
  c.fillStyle = "#555555";  // a sole point on the ground or below it
  for (let p = SOLES; p < HEAD; p++) if (points[p].low) {
    c.beginPath(); c.arc(shadows[p][0], shadows[p][1], 2.6, 0, 2 * Math.PI); c.fill();
  }
  const far = ([a, b]) => points[a][2] + points[b][2];
  c.lineWidth = 3;
  for (const [a, b, side] of [...SEGMENTS].sort((one, other) => far(other) - far(one))) {
    c.strokeStyle = COLOURS[side]; line(points[a], points[b]);
  }
  c.fillStyle = COLOURS[0];
  c.beginPath(); c.arc(points[HEAD][0], points[HEAD][1], 0.09 * cell.zoom, 0, 2 * Math.PI); c.fill();
}
let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches, clock = 0, before = null, stale = true;
const name = () => { button.textContent = playing ? "Pause" : "Play"; };
button.onclick = () => { playing = !playing; name(); };
turn.oninput = () => { stale = true; };
if (window.IntersectionObserver) {
  const watch = new IntersectionObserver(entries => entries.forEach(entry => {
    cells.find(cell => cell.canvas === entry.target).seen = entry.isIntersecting; stale = true;
  }));
  cells.forEach(cell => watch.observe(cell.canvas));
}
function tick(now) {
  if (before !== null && playing) clock += Math.min(0.1, (now - before) / 1000) * speed.value;
  before = now;
  if (playing || stale) cells.forEach(cell => cell.seen && draw(cell, clock));
  stale = false;
  requestAnimationFrame(tick);
}
name();
cells.forEach(cell => draw(cell, 0));
requestAnimationFrame(tick);
})();
"""
