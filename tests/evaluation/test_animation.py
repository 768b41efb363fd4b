import base64
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from motiongan.body.skeleton import JOINT, NUM_JOINTS
from motiongan.evaluation import animation
from motiongan.evaluation.animation import animations, choose, figure_of, segments

HEAD = NUM_JOINTS + 4


def motions(page: str) -> list[np.ndarray]:
    """The points of every canvas, metres, read back as the script reads them."""
    data = re.findall(r'data-motion="([^"]*)"', page)
    return [np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, HEAD + 2, 3) / 1000 for text in data]


def test_the_page_carries_the_clips_own_points_to_the_millimetre(stick_body, make_clip):
    clip = make_clip(num_frames=20, speed=1.2)
    figure = figure_of(clip, stick_body, label="made", real=False)
    (read,) = motions(animations({"walk": [figure]}))
    assert np.abs(read - figure.points).max() <= 0.0005 + 1e-9
    # Heights are untouched, and so are lengths.
    direct = animation.figure_points(clip, stick_body)
    assert np.abs(read[..., 2] - direct[..., 2]).max() < 0.001
    shank = (read[:, JOINT["left_knee"]] - read[:, JOINT["left_ankle"]]) ** 2
    assert np.sqrt(shank.sum(-1)) == pytest.approx(math.dist((0.10, -0.47, 0.0), (0.09, -0.87, -0.03)), abs=0.003)


def test_every_figure_starts_at_the_origin_and_faces_ahead(stick_body, make_clip):
    clip = make_clip(num_frames=31, speed=1.2)  # faces and travels along -y
    points = figure_of(clip, stick_body, label="", real=False).points
    assert np.abs(points[0, 0, :2]).max() < 1e-6
    assert points[-1, 0, :2] == pytest.approx([1.2, 0.0], abs=1e-5)
    assert points[0, JOINT["left_hip"], 1] > 0.05 > -0.05 > points[0, JOINT["right_hip"], 1]  # the left is at +y
    assert points[0, HEAD + 1, 0] > points[0, HEAD, 0] + 0.05  # the nose is ahead


def test_left_lines_are_left_limbs_and_no_line_crosses_the_body():
    names = [*JOINT, "left_heel", "right_heel", "left_ball", "right_ball", "head_middle", "nose"]
    drawn = {(names[a], names[b]): side for a, b, side in segments()}
    assert drawn["left_hip", "left_knee"] == drawn["left_heel", "left_ball"] == 1
    assert drawn["right_elbow", "right_wrist"] == drawn["right_ankle", "right_heel"] == 2
    assert drawn["pelvis", "spine1"] == drawn["head_middle", "nose"] == 0
    for (start, end), side in drawn.items():
        assert side == {"left": 1, "right": 2}.get(end.split("_")[0], 0)
        assert {start.split("_")[0], end.split("_")[0]} != {"left", "right"}
    assert {b for _, b in drawn} | {"pelvis", "head_middle"} == set(names)


def test_the_fragment_needs_no_other_file_and_escapes_what_people_wrote(stick_body, make_clip):
    clip = make_clip(num_frames=5, subject='<b a="1">', action="walk")
    figure = figure_of(clip, stick_body, label="<i>", real=True)
    page = animations({"a<b": [figure, replace(figure, real=False)]})
    assert page == animations({"a<b": [figure, replace(figure, real=False)]})
    assert not re.search(r"https?:|\bsrc=|\bhref|@import|%[A-Z]+%", page)
    assert "<h3>a&lt;b</h3>" in page
    assert "<figcaption>&lt;i&gt;</figcaption>" in page
    assert 'title="&lt;b a=&quot;1&quot;&gt;"' in page
    assert page.count("<figure class=real") == 1
    assert animations({}) == animations({"walk": []}) == ""


def test_broken_and_far_away_points_do_not_wrap_around(stick_body, make_clip):
    clip = make_clip(num_frames=5, speed=0.0)
    far, broken = clip.trans.copy(), clip.trans.copy()
    far[-1, 1] = -1000.0
    broken[-1, 2] = np.nan
    ends = [
        motions(animations({"walk": [figure_of(replace(clip, trans=trans), stick_body, label="", real=False)]}))[0][-1]
        for trans in (far, broken)
    ]
    assert (ends[0][:, 0] == 32.767).all()
    assert (ends[1][:, 2] == 0).all()


def test_the_sets_share_a_row_real_ones_last_and_fewer_are_shown_where_the_page_would_grow(
    stick_body, make_clip, monkeypatch
):
    def clips(seed: int, count: int = 5) -> list:
        return [make_clip(seed + i, num_frames=60, action=("walk", "run")[i % 2]) for i in range(count)]

    def chosen(generated):
        jumps = [make_clip(90, num_frames=60, action="jump")]
        real = {"real": clips(50), "trained on": [*clips(70), *jumps]}
        return choose(generated, real, ("walk", "run", "jump", "fly"), stick_body, seed=0)

    found = chosen({"made": clips(0)})
    assert list(found) == ["walk", "run", "jump"]
    assert [(figure.label, figure.real) for figure in found["jump"]] == [("trained on", True)]  # no other real one
    assert [figure.label for figure in found["walk"]] == ["made"] * 3 + ["real"] * 3
    assert [figure.real for figure in found["run"]] == [False] * 2 + [True] * 2  # all that there are
    assert len({figure.remark for figure in found["walk"]}) == 6
    found = chosen({"one": clips(0), "two": clips(9)})
    assert [figure.label for figure in found["walk"]] == ["one", "one", "two", "two", "real", "real"]
    a_clip = 60 * (HEAD + 2) * 3 * 2 * 4 / 3
    monkeypatch.setattr(animation, "BUDGET", 6 * a_clip)
    found = chosen({"made": clips(0)})
    assert [len(row) for row in found.values()] == [2, 2, 1]
    page = animations(found)
    assert sum(map(len, re.findall(r'data-motion="([^"]*)"', page))) <= 6 * a_clip
    monkeypatch.setattr(animation, "BUDGET", 2.6 * a_clip)  # then shorter ones
    assert {len(figure.points) for row in chosen({"made": clips(0)}).values() for figure in row} == {30}
