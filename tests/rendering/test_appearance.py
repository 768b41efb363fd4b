"""Skin tones, kits, clothes: drawn evenly, told apart, and where the body says they begin."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from motiongan.body.smpl import load_body
from motiongan.rendering.appearance import (
    Landmarks,
    draw_kit,
    draw_look,
    draw_looks,
    linear,
    linear_to_srgb,
    number_table,
    outfit_values,
    skin_colour,
    srgb_to_linear,
)
from motiongan.rendering.clothing import Layers, Tailor, vertex_frames


@pytest.fixture(scope="module")
def body():
    return load_body()


def typology(colour) -> float:
    """Individual typology angle (degrees) of an sRGB colour, by way of CIE L*a*b* (D65)."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.array(linear(colour)) / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return float(np.degrees(np.arctan2(116 * f[1] - 16 - 50, 200 * (f[1] - f[2]))))


@pytest.mark.parametrize("angle", [-55.0, -30.0, 0.0, 20.0, 35.0, 48.0, 60.0])
def test_a_skin_colour_has_the_typology_angle_asked_for(angle):
    assert typology(skin_colour(angle)) == pytest.approx(angle, abs=0.6)


def test_all_classes_of_skin_are_drawn_equally_often():
    random = np.random.default_rng(0)
    kit = draw_kit(random=random)
    angles = [draw_look(kit, random=random).ita for _ in range(1200)]
    counts = np.histogram(angles, [-90, -30, 10, 28, 41, 55, 90])[0]  # Chardon's six classes
    assert counts.sum() == 1200
    assert (np.abs(counts - 200) < 4 * np.sqrt(200)).all()


def test_women_have_no_beards_and_the_look_fits_json():
    random = np.random.default_rng(1)
    looks = [draw_look(draw_kit(random=random), "female", random=random) for _ in range(60)]
    assert all(look.beard == 0 for look in looks)
    assert any(draw_look(draw_kit(random=random), "male", random=random).beard > 0 for _ in range(50))
    assert json.loads(json.dumps(looks[0].as_dict()))["kit"]["pattern"] == looks[0].kit.pattern


def test_two_teams_share_their_kits_and_can_be_told_apart():
    for seed in range(10):
        looks = draw_looks(["neutral"] * 4, random=np.random.default_rng(seed))
        assert looks[0].kit == looks[2].kit
        assert looks[1].kit == looks[3].kit
        assert np.linalg.norm(np.subtract(looks[0].kit.shirt, looks[1].kit.shirt)) > 0.4


def test_srgb_and_linear_light_undo_each_other():
    values = np.linspace(0, 1, 256)
    assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-4)
    assert srgb_to_linear(np.array(0.5)) == pytest.approx(0.2140, abs=1e-4)  # IEC 61966-2-1


def test_landmarks_of_the_default_body_are_in_their_places(body):
    marks = Landmarks.of(body)
    assert marks.sole_y < marks.ankle[1] < marks.knee[1] < marks.crotch_y < marks.hip[1] < marks.waist_y
    assert marks.waist_y < marks.shoulder[1] < marks.neck[1] < marks.nose[1] < marks.eye[1] < marks.top_y
    assert 0 < marks.shoulder[0] < marks.elbow[0] < marks.wrist[0]


def test_long_sleeves_end_at_the_wrist_and_leggings_at_the_ankle(body):
    from dataclasses import replace

    marks = Landmarks.of(body)
    random = np.random.default_rng(0)
    look = draw_look(replace(draw_kit(random=random), sleeve=1.0, leg=1.0), random=random)
    values = outfit_values(look, marks)
    assert values["sleeve_x"] == pytest.approx(marks.wrist[0])
    assert marks.ankle[1] < values["shorts_y"] < marks.ankle[1] + 0.1


def test_only_people_with_a_number_have_ink_on_their_shirt():
    from dataclasses import replace

    looks = draw_looks(["neutral"] * 2, random=np.random.default_rng(0))
    table = number_table([replace(looks[0], number=8), replace(looks[1], number=None)])
    assert table[0].max() > 0.9
    assert 0.1 < table[0].mean() < 0.6
    assert table[1].max() == 0


def test_offsets_lead_to_the_dressed_vertex_and_bare_skin_stays(body):
    tailor = Tailor(body.v_template.numpy(), body.faces.numpy())
    count = body.num_vertices
    is_foot = body.v_template.numpy()[:, 1] < -1.1
    shoes = is_foot.astype(np.float32)
    nothing = np.zeros(count, np.float32)
    dressed, offsets = tailor.dress(Layers(0.005 * shoes, nothing, nothing, shoes, nothing))
    assert_allclose(dressed[~is_foot], body.v_template.numpy()[~is_foot], atol=1e-6)
    assert_allclose(offsets[~is_foot], 0, atol=1e-6)
    # The offsets are the way to the dressed vertex, told in the vertex's own frame.
    frames = vertex_frames(body.v_template.numpy().astype(float), tailor.normals, tailor.neighbour)
    back = body.v_template.numpy() + np.einsum("vij,vi->vj", frames, offsets)
    assert_allclose(back[is_foot], dressed[is_foot], atol=1e-5)
