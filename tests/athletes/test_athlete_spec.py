"""The athletes' specification: its curves, its contacts, and what is said about a faulty one."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from motiongan.athletes.spec import ANGLE, CURVE_SAMPLES, inside, load_spec, mirror_angles
from motiongan.config import shipped
from motiongan.errors import MotionganError

_ACTION = {
    "sources": ["someone"],
    "pattern": "alternating",
    "cycle": 1.0,
    "tempo": 0.1,
    "amplitude": 0.1,
    "balance": 0.05,
    "contacts": {"both": {"down": [[0, 60]], "flat": [[10, 30]]}},
    "curves": {"knee_flexion": {0: 0, 50: 90}, "pelvis_tilt": 10},
}


def _content(**changes: object) -> dict[str, object]:
    return {
        "format": "motiongan.athletes",
        "version": 1,
        "style": {"trunk_flexion": 2},
        "sources": {"someone": "Someone (2000)"},
        "actions": {"hop": {**_ACTION, **changes}},
    }


def _write(folder: Path, content: object) -> Path:
    path = folder / "athletes.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_shipped_specification_has_the_nine_actions_and_each_names_its_sources():
    spec = load_spec()
    wanted = {"walk", "run", "sprint", "jump", "squat", "lunge", "kick", "throw", "jumping_jack"}
    assert wanted <= set(spec.actions)
    assert all(action.sources for action in spec.actions.values())


def test_a_curve_passes_between_its_points_and_is_periodic(tmp_path):
    table = load_spec(_write(tmp_path, _content())).actions["hop"].angle_table()
    knee = np.rad2deg(table[:, ANGLE["right_knee_flexion"]])
    quarter = CURVE_SAMPLES // 4
    assert knee[0] == pytest.approx(0, abs=1.5)  # its corners are rounded a little
    assert knee[2 * quarter] == pytest.approx(90, abs=1.5)
    assert knee[quarter] == pytest.approx(45, abs=1e-6)  # by symmetry
    assert knee[3 * quarter] == pytest.approx(45, abs=1e-6)
    steps = np.abs(np.diff(knee, append=knee[0]))
    assert steps.max() < 1.6 * 180 / CURVE_SAMPLES  # no jump, the wrap included: a cubic rises 1.5 times its mean slope
    np.testing.assert_allclose(np.rad2deg(table[:, ANGLE["pelvis_tilt"]]), 10)


def test_in_an_alternating_action_the_left_follows_half_a_cycle_later(tmp_path):
    action = load_spec(_write(tmp_path, _content())).actions["hop"]
    table = action.angle_table()
    left, right = table[:, ANGLE["left_knee_flexion"]], table[:, ANGLE["right_knee_flexion"]]
    np.testing.assert_allclose(np.roll(left, -CURVE_SAMPLES // 2), right)
    phase = np.linspace(0, 2, 333)
    left_foot, right_foot = action.contact_intervals()
    np.testing.assert_array_equal(inside(phase + 0.5, left_foot.down), inside(phase, right_foot.down))
    np.testing.assert_array_equal(inside(phase + 0.5, left_foot.flat), inside(phase, right_foot.flat))


def test_an_interval_goes_on_in_the_next_cycle():
    phase = np.array([0.0, 0.1, 0.19, 0.21, 0.79, 0.81, 1.1, -0.1])
    assert inside(phase, [(80.0, 120.0)]).tolist() == [True, True, True, False, False, True, True, True]
    assert inside(phase, [(0.0, 100.0)]).all()


def test_the_mirror_swaps_sides_and_turns_of_the_midline():
    angles = np.zeros(len(ANGLE))
    angles[ANGLE["left_knee_flexion"]], angles[ANGLE["trunk_rotation"]], angles[ANGLE["pelvis_tilt"]] = 1, 2, 3
    mirrored = mirror_angles(angles)
    assert mirrored[ANGLE["right_knee_flexion"]] == 1
    assert mirrored[ANGLE["left_knee_flexion"]] == 0
    assert mirrored[ANGLE["trunk_rotation"]] == -2
    assert mirrored[ANGLE["pelvis_tilt"]] == 3
    np.testing.assert_array_equal(mirror_angles(mirrored), angles)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"curves": {"knee_flexoin": 3}}, ["actions.hop.curves", "unknown angle `knee_flexoin`", "`knee_flexion`"]),
        ({"curves": {"knee_flexion": {0: 1}}}, ["`knee_flexion`", "two points"]),
        ({"curves": {"knee_flexion": {0: 1, 100: 2}}}, ["`knee_flexion`", "same moment"]),
        ({"curves": {"left_knee_flexion": 3}}, ["actions.hop", "one_sided"]),
        ({"curves": {"knee_flexion": "bent"}}, ["actions.hop.curves.knee_flexion"]),
        ({"sources": ["sombody"]}, ["unknown source `sombody`"]),
        ({"cycle": -1}, ["actions.hop.cycle", "greater than 0"]),
        ({"cylce": 1}, ["actions.hop.cylce"]),
        ({"pattern": "hopping"}, ["actions.hop.pattern", "'alternating'"]),
        ({"contacts": {"both": {"down": [[60, 10]], "flat": []}}}, ["actions.hop.contacts.both", "[60, 10]"]),
        ({"contacts": {"both": {"down": [[0, 20]], "flat": [[10, 30]]}}}, ["`flat` reaches beyond `down`"]),
        ({"contacts": {"left": {"down": [[0, 20]], "flat": []}}}, ["actions.hop", "`left` and `right`"]),
    ],
)
def test_a_mistake_in_an_action_is_told_in_one_line(tmp_path, changes, words):
    path = _write(tmp_path, _content(**changes))
    with pytest.raises(MotionganError) as caught:
        load_spec(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_files_that_are_no_specification_are_named(tmp_path):
    with pytest.raises(MotionganError, match=r"nowhere.yaml: cannot be read"):
        load_spec(tmp_path / "nowhere.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("format: motiongan.athletes\nactions: {walk: [}\n", encoding="utf-8")
    with pytest.raises(MotionganError, match=r"broken.yaml:2: not valid YAML"):
        load_spec(broken)
    with pytest.raises(MotionganError, match="not a specification of athletes"):
        load_spec(_write(tmp_path, {"training": {"steps": 3}}))
    with pytest.raises(MotionganError, match="version 7"):
        load_spec(_write(tmp_path, {**_content(), "version": 7}))
    with pytest.raises(MotionganError, match="style: unknown angle `nose`"):
        load_spec(_write(tmp_path, {**_content(), "style": {"nose": 1}}))


def test_the_shipped_specification_lies_where_the_package_looks_for_it():
    assert shipped("data/athletes.yaml").read_text(encoding="utf-8").startswith("# The made-up athletes")
