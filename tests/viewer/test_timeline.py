import dataclasses
import re

import numpy as np
import pytest

from motiongan.viewer.overlays import Flight
from motiongan.viewer.palette import CONTACT, FLIGHT, RANGE, css
from motiongan.viewer.posed_clip import pose_clip
from motiongan.viewer.timeline import timeline


@pytest.fixture
def posed(body, make_clip):
    """Ten frames: left heel 0-2, left ball 2-4, right ball 6-9, in the air 4-6, beyond a range in 5."""
    contacts = np.zeros((10, 4), dtype=bool)
    contacts[0:3, 0] = contacts[2:5, 2] = contacts[6:, 3] = True
    violation = np.zeros((10, 24), dtype=np.float32)
    violation[5, 7], violation[8, 7] = np.radians(6), np.radians(4)  # the second is within the tolerance
    flight = Flight(4, 7, np.zeros(3), np.zeros(3), 0.0)
    base = pose_clip(make_clip(num_frames=10), body)
    return dataclasses.replace(base, contacts=contacts, violation=violation, flights=[flight])


def bars(text):
    """(start, width, colour) of the marks of each bar."""
    mark = re.compile(r'<rect x="(\d+)" y="0" width="(\d+)" height="1" fill="(#\w+)"/>')
    return [[(int(x), int(w), c) for x, w, c in mark.findall(bar)] for bar in text.split("<svg")[1:]]


def test_each_bar_marks_its_frames(posed):
    assert bars(timeline(posed)) == [
        [(0, 5, css(CONTACT))],
        [(6, 4, css(CONTACT))],
        [(4, 3, css(FLIGHT))],
        [(5, 1, css(RANGE))],
    ]


def test_beside_a_longer_clip_the_bars_keep_its_scale(posed):
    assert 'viewBox="0 0 10 1"' in timeline(posed)
    assert 'viewBox="0 0 25 1"' in timeline(posed, 25)


def test_a_heading_is_escaped(posed):
    assert "&lt;a&gt;.h5" in timeline(posed, name="<a>.h5")
