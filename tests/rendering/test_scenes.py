"""Scenes: the light on the ground, textures that repeat, and folders of pictures."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from motiongan.errors import MotionganError
from motiongan.rendering.lighting import draw_lighting, light_axes
from motiongan.rendering.scenes import PROCEDURAL, check_scene, draw_scene
from motiongan.rendering.sensor import draw_capture, through_jpeg


@pytest.mark.parametrize("name", PROCEDURAL)
def test_a_scene_is_the_same_for_the_same_seed_and_differs_for_another(name):
    one, same, other = (draw_scene(name, [], 64, 64, random=np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert one.name == name
    assert one.ground is not None
    assert np.array_equal(one.ground, same.ground)
    assert one.lighting == same.lighting != other.lighting
    assert np.isfinite(one.ground).all()
    assert 0 <= one.ground.min() < one.ground.max() + 1e-6 <= 1.3
    size = len(one.ground)
    assert one.ground.shape == (size, size, 3)
    assert size & (size - 1) == 0


@pytest.mark.parametrize("kind", ["studio", "hall", "sun"])
def test_a_white_patch_on_the_ground_gets_about_the_same_light_in_every_draw(kind):
    for seed in range(50):
        light = draw_lighting(kind, random=np.random.default_rng(seed))
        level = sum(
            np.mean(colour) * height
            for colour, height in (
                (light.key_colour, light.key[2]),
                (light.fill_colour, light.fill[2]),
                (light.sky_colour, 1.0),
            )
        )
        assert 0.5 < level < 1.3
        assert_allclose(np.linalg.norm([light.key, light.fill], axis=1), 1, atol=1e-6)
        assert light.key[2] > 0.3


def test_the_axes_of_a_light_are_a_right_handed_frame_along_its_way():
    for way in ((0.3, -0.4, -0.7), (0.0, 0.0, -1.0), (1.0, 0.0, -0.1)):
        axes = light_axes(way)
        assert_allclose(axes @ axes.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(axes) == pytest.approx(1)
        assert_allclose(axes[2], np.array(way) / np.linalg.norm(way), atol=1e-6)


def test_a_picture_is_cut_to_the_frame_in_linear_light(tmp_path):
    Image.new("RGB", (90, 30), (188, 188, 188)).save(tmp_path / "grey.png")
    scene = draw_scene(tmp_path, check_scene(tmp_path), 40, 20, random=np.random.default_rng(0))
    assert scene.picture is not None
    assert scene.picture.shape == (20, 40, 3)
    assert_allclose(scene.picture, 0.5029, atol=1e-3)  # sRGB 188 / 255
    assert scene.ground is None
    assert scene.draws["picture"] == "grey.png"


def test_a_broken_picture_is_named_before_anything_is_rendered(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(MotionganError, match=r"b\.png: not a readable picture") as caught:
        check_scene(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_pictures_and_an_unknown_scene_are_told(tmp_path):
    with pytest.raises(MotionganError, match="no pictures"):
        check_scene(tmp_path)
    with pytest.raises(MotionganError, match="did you mean `track`"):
        check_scene("trak")


def test_jpeg_changes_a_picture_a_little_and_more_at_low_quality():
    random = np.random.default_rng(0)
    pictures = random.integers(0, 255, (2, 32, 32, 3), np.uint8)
    errors = [np.abs(through_jpeg(pictures, quality).astype(int) - pictures).mean() for quality in (95, 60)]
    assert 0 < errors[0] < errors[1] < 80


def test_captures_range_from_clean_to_noisy():
    captures = [draw_capture(30.0, random=np.random.default_rng(seed)) for seed in range(200)]
    blurred = [capture for capture in captures if capture.shutter > 0]
    assert 0.2 < len(blurred) / 200 < 0.5
    assert all(capture.shutter <= 0.8 for capture in blurred)
    assert 0.5 < sum(capture.jpeg_quality is not None for capture in captures) / 200 < 0.9
