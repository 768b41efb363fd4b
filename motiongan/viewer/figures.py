"""The numbers of one clip that the page shows beside it, and their table."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from motiongan.body.skeleton import JOINT_NAMES
from motiongan.evaluation import metrics
from motiongan.viewer.posed_clip import PosedClip

_PUSH = 0.25  # s: a foot leaves the ground no longer than this before the body is clear of it


@dataclass(frozen=True)
class ClipFigures:
    """What a clip measures. NaN stands for what the clip does not have: the jump of one that stays on the ground.

    duration       seconds;  num_frames, frame_rate (Hz)
    distance       metres from the first frame's pelvis to the last one's, over the ground
    mean_speed, top_speed   m/s of the pelvis over the ground; the top is held for a fifth of a second
    jump_height    metres that the centre of mass rises from take-off to its highest point, the best flight's
    flight_time    seconds in the air in all;  flight_error_mm   RMS distance from free flight, the worst flight's
    foot_skate     m/s of the balls of the feet while low;  skate_share   share of those steps above 0.5 m/s
    penetration_mm mean depth of the lowest sole point below the ground
    worst_joints   names of the joints beyond their range, with the share of frames and the largest angle in degrees
    """

    duration: float
    num_frames: int
    frame_rate: float
    distance: float
    mean_speed: float
    top_speed: float
    jump_height: float
    flight_time: float
    flight_error_mm: float
    foot_skate: float
    skate_share: float
    penetration_mm: float
    worst_joints: tuple[tuple[str, float, float], ...]


def measure(posed: PosedClip) -> ClipFigures:
    """The figures of one clip; speeds of a single frame are NaN."""
    rate = posed.frame_rate
    pelvis = posed.joints[:, 0, :2].astype(np.float64)
    step = np.linalg.norm(np.diff(pelvis, axis=0), axis=1) * rate
    held = max(1, min(len(step), round(rate / 5)))
    soles = torch.from_numpy(posed.soles)[None]
    mask = torch.ones(soles.shape[:2], dtype=torch.bool)
    skate = metrics.foot_skate(soles, mask, rate)
    height = posed.mass_centre[:, 2]
    takeoffs = [_takeoff(posed, flight.start) for flight in posed.flights]
    rises = [height[first : flight.stop].max() - height[first] for first, flight in zip(takeoffs, posed.flights)]
    return ClipFigures(
        duration=posed.clip.duration,
        num_frames=posed.num_frames,
        frame_rate=rate,
        distance=float(np.linalg.norm(pelvis[-1] - pelvis[0])),
        mean_speed=float(step.mean()) if len(step) else math.nan,
        top_speed=float(np.convolve(step, np.ones(held) / held, "valid").max()) if len(step) else math.nan,
        jump_height=float(max(rises)) if rises else math.nan,
        flight_time=sum(flight.stop - flight.start for flight in posed.flights) / rate,
        flight_error_mm=1000 * max((flight.residual for flight in posed.flights), default=math.nan),
        foot_skate=skate["foot_skate"],
        skate_share=skate["skate_share"],
        penetration_mm=1000 * metrics.penetration(soles, mask),
        worst_joints=_worst_joints(posed.violation),
    )


def _takeoff(posed: PosedClip, flight_start: int) -> int:
    """The last frame in which a foot touches the ground before a flight; the frame before it where none did lately.

    The flight itself counts from 5 cm of clearance on: some frames later, and that much higher.
    """
    touching = posed.contacts[:flight_start].max(axis=1)
    earliest = max(0, flight_start - 1 - round(_PUSH * posed.frame_rate))
    lately = np.flatnonzero(touching[earliest:])
    return earliest + int(lately[-1]) if len(lately) else max(flight_start - 1, 0)


def _worst_joints(violation: np.ndarray) -> tuple[tuple[str, float, float], ...]:
    """Joints more than the tolerance outside their range, the most frequent first."""
    share = (violation > metrics.RANGE_TOLERANCE).mean(0)
    order = sorted(np.flatnonzero(share).tolist(), key=lambda joint: (-share[joint], joint))
    degrees = np.degrees(violation.max(0))
    return tuple((JOINT_NAMES[joint], float(share[joint]), float(degrees[joint])) for joint in order)


def table(columns: Sequence[tuple[str, PosedClip, ClipFigures]]) -> str:
    """HTML of the figures, one column for each (heading, clip, figures). Text from the file is escaped."""
    rows: list[tuple[str, list[str]]] = [
        ("action", [clip.clip.action or "no label" for _, clip, _ in columns]),
        ("person", [_or_dash(clip.clip.subject) for _, clip, _ in columns]),
        ("duration", [f"{figures.duration:.2f} s, {figures.num_frames} frames" for *_, figures in columns]),
        ("mean speed", [_number(figures.mean_speed, ".2f", "m/s") for *_, figures in columns]),
        ("top speed", [_number(figures.top_speed, ".2f", "m/s") for *_, figures in columns]),
        ("distance", [_number(figures.distance, ".2f", "m") for *_, figures in columns]),
        ("jump height", [_number(100 * figures.jump_height, ".0f", "cm") for *_, figures in columns]),
        ("in the air", [_number(figures.flight_time or math.nan, ".2f", "s") for *_, figures in columns]),
        ("off free flight", [_number(figures.flight_error_mm, ".0f", "mm") for *_, figures in columns]),
        ("foot skate", [_skate(figures) for *_, figures in columns]),
        ("below ground", [_number(figures.penetration_mm, ".1f", "mm") for *_, figures in columns]),
        ("beyond range", [_joints(figures) for *_, figures in columns]),
        ("source", [_or_dash(clip.clip.source) for _, clip, _ in columns]),
    ]
    seeds = [clip.clip.seed for _, clip, _ in columns]
    if any(seed is not None for seed in seeds):
        rows.append(("seed", ["–" if seed is None else str(seed) for seed in seeds]))
    cell = "padding:2px 8px 2px 0;vertical-align:top;overflow-wrap:anywhere"
    head = ""
    if len(columns) > 1:
        names = "".join(f'<th style="{cell};text-align:left">{html.escape(name)}</th>' for name, *_ in columns)
        head = f"<tr><th></th>{names}</tr>"
    body = "".join(
        f'<tr><td style="{cell};opacity:0.65;white-space:nowrap">{name}</td>'
        + "".join(f'<td style="{cell}">{html.escape(value)}</td>' for value in values)
        + "</tr>"
        for name, values in rows
    )
    style = "width:100%;font-size:0.8rem;line-height:1.3;border-collapse:collapse"
    return f'<div style="padding:0 0.6em"><table style="{style}">{head}{body}</table></div>'


def _number(value: float, form: str, unit: str) -> str:
    return "–" if math.isnan(value) else f"{value:{form}} {unit}"


def _skate(figures: ClipFigures) -> str:
    if math.isnan(figures.foot_skate):
        return "–"
    return f"{figures.foot_skate:.2f} m/s, {100 * figures.skate_share:.0f} % of low steps"


def _joints(figures: ClipFigures) -> str:
    if not figures.worst_joints:
        return "none"
    shown = [
        f"{name.replace('_', ' ')} by {degrees:.0f}° in {100 * share:.0f} %"
        for name, share, degrees in figures.worst_joints[:3]
    ]
    more = len(figures.worst_joints) - len(shown)
    return "; ".join(shown) + (f"; {more} more" if more else "")


def _or_dash(text: str) -> str:
    return text or "–"
