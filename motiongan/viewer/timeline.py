"""A clip at a glance, drawn below the scrubber: which foot stands when, flights, frames beyond a joint's range."""

import html

import numpy as np

from motiongan.evaluation.metrics import RANGE_TOLERANCE
from motiongan.viewer.overlays import runs
from motiongan.viewer.palette import CONTACT, FLIGHT, RANGE, css
from motiongan.viewer.posed_clip import PosedClip

_ROW = 12  # pixels
_LEFT, _RIGHT = 96, 60  # pixels: where the scrubber above begins and ends


def timeline(posed: PosedClip, num_frames: int | None = None, name: str = "") -> str:
    """HTML of four bars over the clip's frames: left foot, right foot, in the air, beyond range.

    num_frames   how many frames the width stands for, where a longer clip is shown beside this one
    name         heading; it is escaped
    """
    total = num_frames or posed.num_frames
    in_air = np.zeros(posed.num_frames, dtype=bool)
    for flight in posed.flights:
        in_air[flight.start : flight.stop] = True
    rows = (
        ("left", posed.contacts[:, 0] | posed.contacts[:, 2], CONTACT),
        ("right", posed.contacts[:, 1] | posed.contacts[:, 3], CONTACT),
        ("air", in_air, FLIGHT),
        ("range", posed.violation.max(1) > RANGE_TOLERANCE, RANGE),
    )
    bars = "".join(_bar(name, active, css(colour), total) for name, active, colour in rows)
    heading = f'<div style="font-size:10px;font-weight:bold">{html.escape(name)}</div>' if name else ""
    return f'<div style="padding:0 {_RIGHT}px 0 0.7em">{heading}{bars}</div>'


def _bar(name: str, active: np.ndarray, colour: str, total: int) -> str:
    marks = "".join(
        f'<rect x="{start}" y="0" width="{stop - start}" height="1" fill="{colour}"/>' for start, stop in runs(active)
    )
    return (
        f'<div style="display:flex;align-items:center;height:{_ROW}px;font-size:10px">'
        f'<span style="width:{_LEFT}px;opacity:0.65">{name}</span>'
        f'<svg viewBox="0 0 {total} 1" preserveAspectRatio="none" style="flex:1;height:7px;background:#8882;'
        f'border-radius:2px">{marks}</svg></div>'
    )
