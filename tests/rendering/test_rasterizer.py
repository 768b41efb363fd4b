"""The rasterizer: pixels worked out by hand, a slow ray caster, near plane, order, shadows, several people."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("warp", reason="needs warp-lang: pip install 'motiongan[render]'")

from rendering.meshes_by_hand import LIGHT, NOWHERE, SHARP, at_origin, ball, box, cast_rays, draw

from motiongan.rendering.camera import Camera, intrinsics_of, look_at
from motiongan.rendering.rasterizer import Quality, Rasterizer
from motiongan.rendering.sensor import exposure_moments

TRIANGLE = np.array([[0, 1, 2]])


def soup(seed: int, count: int = 40) -> np.ndarray:
    """(count, 3, 3) triangles that cross one another before a camera at the origin."""
    random = np.random.default_rng(seed)
    middle = random.uniform([-1, -1, 2], [1, 1, 5], (count, 1, 3))
    return (middle + random.normal(0, 0.5, (count, 3, 3))).astype(np.float32)


def test_a_triangle_covers_the_pixels_whose_centres_it_contains():
    # At depth 2 and focal length 4, x = -1 is column 2 and x = 1 is column 6 of 8: corners (2, 2), (6, 2), (2, 6).
    buffers = draw([[[[-1, -1, 2], [1, -1, 2], [-1, 1, 2.0]]]], TRIANGLE, at_origin(8, 4.0))
    expected = np.zeros((8, 8), np.uint8)
    expected[2, 2:5] = expected[3, 2:4] = expected[4, 2] = 1  # centres on the long side belong to what is below it
    assert_array_equal(buffers.instance[0], expected)
    assert_allclose(buffers.depth[0][expected == 1], 2, atol=1e-5)
    assert np.isinf(buffers.depth[0][expected == 0]).all()
    assert_array_equal(buffers.part[0], expected)
    assert_allclose(np.abs(buffers.normals[0][expected == 1]), np.tile([0, 0, 1.0], (6, 1)), atol=1e-5)


def test_two_triangles_that_share_a_side_leave_no_gap():
    square = [[-1, -1, 2], [1, -1, 2], [-1, 1, 2], [1, 1, 2.0]]
    for faces in ([[0, 1, 2], [1, 3, 2]], [[0, 1, 3], [0, 3, 2]]):
        instance = draw([[square]], np.array(faces), at_origin(8, 4.0)).instance[0]
        assert instance.sum() == 16
        assert (instance[2:6, 2:6] == 1).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_depth_and_coverage_are_those_of_a_ray_caster(seed):
    triangles = soup(seed)
    camera = at_origin(48, 40.0, width=64)
    buffers = draw(triangles.reshape(1, 1, -1, 3), np.arange(120).reshape(-1, 3), camera)
    depth, nearest, margin = cast_rays(triangles, camera)
    clear = (margin > 0.02) | (nearest < 0)  # the raster snaps corners to 1/256 pixel
    assert_array_equal(buffers.instance[0][clear] > 0, nearest[clear] >= 0)
    seen = clear & (nearest >= 0)
    same = np.abs(buffers.depth[0][seen] - depth[seen]) < 2e-3
    assert same.mean() > 0.99
    assert (nearest >= 0).mean() > 0.2


def test_a_closed_ball_seen_from_outside_is_the_same_with_and_without_its_far_side():
    vertices, faces = ball(0.5, (0.1, 0.0, 2.0))
    both = [draw(vertices[None, None], faces, at_origin(40, 40.0), cull=cull) for cull in (False, True)]
    assert both[0].instance.sum() > 200
    for name in ("depth", "instance", "normals", "colour"):
        assert_array_equal(getattr(both[0], name), getattr(both[1], name))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_triangles_that_cross_the_near_plane_are_cut_not_dropped(seed):
    # From well behind the camera to well before it: one corner behind, then two corners behind.
    random = np.random.default_rng(seed)
    ahead, behind = random.uniform([-1, -1, 2], [1, 1, 4], (2, 3)), random.uniform([-1, -1, -3], [1, 1, -1], (2, 3))
    triangles = np.array([[ahead[0], ahead[1], behind[0]], [ahead[0], behind[0], behind[1]]])
    camera = at_origin(48, 20.0)
    for triangle in triangles:
        for turn in range(3):
            buffers = draw(np.roll(triangle, turn, 0)[None, None], TRIANGLE, camera)
            depth, nearest, margin = cast_rays(triangle[None], camera)
            clear = (nearest < 0) | ((margin > 0.01) & (depth > 0.06))
            assert (nearest >= 0).sum() > 20
            disagree = (buffers.instance[0] > 0) != (nearest >= 0)
            assert (disagree & clear).sum() <= 2  # where the ray grazes the edge
            seen = (nearest >= 0) & clear & ~disagree
            assert_allclose(buffers.depth[0][seen], depth[seen], rtol=2e-3)


def test_the_order_of_faces_changes_nothing():
    triangles = soup(5)
    shuffled = triangles[np.random.default_rng(1).permutation(len(triangles))]
    faces = np.arange(120).reshape(-1, 3)
    one, other = (draw(t.reshape(1, 1, -1, 3), faces, at_origin(48, 40.0)) for t in (triangles, shuffled))
    for name in ("depth", "instance", "part", "normals"):
        assert_array_equal(getattr(one, name), getattr(other, name))


def test_frames_rendered_together_are_those_rendered_alone():
    frames = np.stack([soup(7), soup(8)]).reshape(2, 1, -1, 3)
    faces = np.arange(120).reshape(-1, 3)
    together = draw(frames, faces, at_origin(32, 30.0, frames=2))
    for index in range(2):
        alone = draw(frames[index : index + 1], faces, at_origin(32, 30.0))
        assert_array_equal(together.depth[index], alone.depth[0])
        assert_array_equal(together.instance[index], alone.instance[0])


def test_parts_change_half_way_in_space_not_half_way_in_the_picture():
    # A strip from x = -1 at depth 1 to x = 3 at depth 3; the left end moves with joint 0, the right one with joint 5.
    # Half way is (1, 2): column 50 + 100 * 1 / 2 = 100. Half way in the picture is (-50 + 150) / 2 = 50.
    strip = [[-1, -0.5, 1], [3, -0.5, 3], [-1, 0.5, 1], [3, 0.5, 3.0]]
    weights = np.eye(24, dtype=np.float32)[[0, 5, 0, 5]]
    camera = replace(at_origin(20, 100.0, width=300), intrinsics=intrinsics_of(100.0, 100, 20)[None])
    part = draw([[strip]], np.array([[0, 1, 2], [1, 3, 2]]), camera, weights=weights).part[0, 10]
    assert (part[5:99] == 1).all()
    assert (part[101:140] == 6).all()


def test_the_nearer_person_hides_the_other():
    vertices, faces = ball(0.5, (0.0, 0.0, 0.0))
    people = np.stack([vertices + np.array([0, 0, 4.0]), vertices + np.array([0.3, 0, 2.0])])[None]
    instance = draw(people, faces, at_origin(64, 60.0)).instance[0]
    # The near ball is at column 32 + 60 * 0.3 / 2 = 41, the far one at 32.
    assert instance[32, 41] == 2
    # The near ball covers the columns 26 to 56, the far one 24.5 to 39.5 where the near one does not.
    assert instance[32, 28] == 2
    assert instance[32, 25] == 1


def test_a_pixel_belongs_to_the_person_who_covers_half_of_its_samples():
    # Samples lie at 1/4 and 3/4. A wall from column 2.5 on covers half of column 2; one from 2.9 on covers none of it.
    for left, owned in ((2.5, True), (2.1, True), (2.9, False)):
        x = (left - 4) / 4 * 2
        wall = [[x, -3, 2], [3, -3, 2], [x, 3, 2], [3, 3, 2.0]]
        quality = replace(SHARP, samples=2)
        buffers = draw([[wall]], np.array([[0, 1, 2], [1, 3, 2]]), at_origin(8, 4.0), quality=quality)
        assert (buffers.instance[0, :, 2] == owned).all()
        assert (buffers.instance[0, :, 3:] == 1).all()
        assert (np.isfinite(buffers.depth[0, :, 2]) == owned).all()


def test_supersampling_mixes_the_colours_of_an_edge():
    x = (2.5 - 4) / 4 * 2
    wall = [[x, -3, 2], [3, -3, 2], [x, 3, 2], [3, 3, 2.0]]
    scene = replace(NOWHERE, colour=(0.5, 0.5, 0.5))
    faces = np.array([[0, 2, 1], [1, 2, 3]])
    row = draw([[wall]], faces, at_origin(8, 4.0), quality=replace(SHARP, samples=2), scene=scene).colour[0, 4]
    low, high = np.minimum(row[1], row[3]), np.maximum(row[1], row[3])
    assert (row[1] != row[3]).any()
    assert ((row[2] >= low) & (row[2] <= high)).all()
    assert (row[2] != row[1]).any()
    assert (row[2] != row[3]).any()


def ground_scene():
    texture = np.full((4, 4, 3), 0.4, np.float32)
    # The light comes from the west at 45 degrees.
    key = (-np.sqrt(0.5), 0.0, np.sqrt(0.5))
    light = replace(LIGHT, key=key, key_spread=0.0005, sky_colour=(0.02,) * 3, bounce_colour=(0.02,) * 3)
    return replace(NOWHERE, ground=texture, tile=1.0, lighting=light)


def test_the_shadow_of_a_box_lies_where_the_geometry_says():
    vertices, faces = box((-0.5, -0.5, 1.0), (0.5, 0.5, 1.4))
    rotation, translation = look_at(torch.tensor([[0.5, -5.0, 4.0]]), torch.tensor([[1.0, 0.0, 0.0]]))
    camera = Camera(intrinsics_of(150.0, 160, 160)[None], rotation, translation, 160, 160)
    quality = Quality(samples=1, shadows=True, dressed=False)
    buffers = draw(vertices[None, None], faces, camera, quality=quality, scene=ground_scene(), cull=True)
    row, column = np.nonzero((buffers.instance[0] == 0) & np.isfinite(buffers.depth[0]))
    pixels = torch.from_numpy(np.stack([column + 0.5, row + 0.5], -1).astype(np.float32))[None]
    ground = camera.unproject(pixels, torch.from_numpy(buffers.depth[0][row, column])[None])[0].numpy()
    assert_allclose(ground[:, 2], 0, atol=1e-3)
    # A point of the ground is in shadow if the way up to the light, (-1, 0, 1), enters the box: at height z it is at
    # x - z, so for z between 1 and 1.4: x between 0.5 and 1.9, y between -0.5 and 0.5.
    outside = np.maximum(np.maximum(0.5 - ground[:, 0], ground[:, 0] - 1.9), np.abs(ground[:, 1]) - 0.5)
    brightness = buffers.colour[0][row, column].mean(-1)
    assert (outside < -0.03).sum() > 300
    assert brightness[outside < -0.03].max() < 70
    assert brightness[outside > 0.03].min() > 120


def test_the_soft_shadow_of_a_near_bar_has_no_lit_dots():
    vertices, faces = box((-0.05, -0.8, 0.1), (0.05, 0.8, 0.2))
    rotation, translation = look_at(torch.tensor([[1.2, 0.0, 1.2]]), torch.tensor([[0.15, 0.0, 0.0]]))
    camera = Camera(intrinsics_of(200.0, 160, 160)[None], rotation, translation, 160, 160)
    scene = ground_scene()
    scene = replace(scene, lighting=replace(scene.lighting, key_spread=0.3))
    buffers = draw(vertices[None, None], faces, camera, quality=Quality(samples=1, dressed=False), scene=scene)
    row, column = np.nonzero((buffers.instance[0] == 0) & np.isfinite(buffers.depth[0]))
    pixels = torch.from_numpy(np.stack([column + 0.5, row + 0.5], -1).astype(np.float32))[None]
    ground = camera.unproject(pixels, torch.from_numpy(buffers.depth[0][row, column])[None])[0].numpy()
    brightness = buffers.colour[0][row, column].mean(-1)
    # As above: the way up to the light enters the bar where x is between 0.05 and 0.25.
    middle = (np.abs(ground[:, 0] - 0.15) < 0.03) & (np.abs(ground[:, 1]) < 0.4)
    lit = np.median(brightness[np.abs(ground[:, 0] - 0.15) > 0.45])
    assert middle.sum() > 200
    assert brightness[middle].max() < 0.75 * lit


def test_what_is_under_the_ground_is_hidden_by_it():
    vertices, faces = ball(0.5, (0.0, 0.0, 0.0))
    rotation, translation = look_at(torch.tensor([[0.0, -4.0, 1.0]]), torch.tensor([[0.0, 0.0, 0.0]]))
    camera = Camera(intrinsics_of(60.0, 64, 64)[None], rotation, translation, 64, 64)
    buffers = draw(vertices[None, None], faces, camera, scene=ground_scene(), cull=True)
    row, column = np.nonzero(buffers.instance[0])
    pixels = torch.from_numpy(np.stack([column + 0.5, row + 0.5], -1).astype(np.float32))[None]
    seen = camera.unproject(pixels, torch.from_numpy(buffers.depth[0][row, column])[None])[0].numpy()
    assert seen[:, 2].min() > -0.03
    assert seen[:, 2].max() > 0.4


def test_motion_blur_is_the_mean_of_its_moments():
    vertices, faces = ball(0.5, (0.0, 0.0, 2.0))
    rasterizer = Rasterizer(faces, vertices, np.eye(24, dtype=np.float32)[np.zeros(len(vertices), int)])
    from rendering.meshes_by_hand import MARKS

    from motiongan.rendering.appearance import draw_looks, srgb_to_linear

    stage = rasterizer.stage(NOWHERE, draw_looks(["neutral"], random=np.random.default_rng(0)), MARKS)
    camera = at_origin(48, 40.0)
    times = [vertices[None, None] + [0.2 * step, 0, 0] for step in (-1, 0, 1)]
    sharp = [rasterizer.render(stage, [(t.astype(np.float32), camera, 1.0)], quality=SHARP) for t in times]
    moments = [(t.astype(np.float32), camera, 1 / 3) for t in times]
    blurred = rasterizer.render(stage, moments, quality=SHARP)
    mean = np.mean([srgb_to_linear(one.colour / 255) for one in sharp], axis=0)
    assert_allclose(srgb_to_linear(blurred.colour / 255), mean, atol=0.012)
    assert_array_equal(blurred.instance, sharp[1].instance)
    assert_array_equal(blurred.depth, sharp[1].depth)


def test_a_picture_neither_changes_with_the_next_one_nor_shows_in_it():
    vertices, faces = ball(0.5, (0.0, 0.0, 2.0))
    rasterizer = Rasterizer(faces, vertices, np.eye(24, dtype=np.float32)[np.zeros(len(vertices), int)])
    from rendering.meshes_by_hand import MARKS

    from motiongan.rendering.appearance import draw_looks

    stage = rasterizer.stage(NOWHERE, draw_looks(["neutral"], random=np.random.default_rng(0)), MARKS)
    for samples in (1, 2, 2, 1):
        quality = replace(SHARP, samples=samples)
        places = [(vertices[None, None] + [x, 0, 0]).astype(np.float32) for x in (-0.5, 0.5, 50.0)]
        shown = [rasterizer.render(stage, [(p, at_origin(48, 40.0), 1.0)], quality=quality) for p in places]
        assert shown[0].instance[0, 24, 12] == 1
        assert shown[0].instance[0, 24, 36] == shown[1].instance[0, 24, 12] == 0
        assert shown[1].instance[0, 24, 36] == 1
        assert not shown[2].instance.any()
        assert np.isinf(shown[2].depth).all()
        assert (shown[2].colour == shown[2].colour[0, 0, 0]).all()


def test_moments_are_as_many_as_the_motion_needs_and_the_middle_one_is_the_frame():
    from motiongan.rendering.sensor import Capture

    capture = Capture(shutter=0.5)
    for fastest in (0.0, 3.0, 20.0, 500.0):
        times = exposure_moments(capture, fastest)
        assert len(times) % 2 == 1
        assert times[len(times) // 2] == 0
        assert np.ptp(times) < 0.5
    assert len(exposure_moments(capture, 500.0)) > len(exposure_moments(capture, 6.0)) >= 1
    assert len(exposure_moments(Capture(), 500.0)) == 1


def test_the_sensors_noise_has_the_variance_asked_for():
    from rendering.meshes_by_hand import MARKS

    from motiongan.rendering.appearance import draw_looks, srgb_to_linear
    from motiongan.rendering.rasterizer import Sensor

    vertices, faces = ball(0.01, (50.0, 0.0, 1.0))  # out of sight
    rasterizer = Rasterizer(faces, vertices, np.eye(24, dtype=np.float32)[np.zeros(len(vertices), int)])
    scene = replace(NOWHERE, colour=(0.4, 0.4, 0.4))
    stage = rasterizer.stage(scene, draw_looks(["neutral"], random=np.random.default_rng(0)), MARKS)
    moments = [(np.stack([vertices, vertices])[:, None].astype(np.float32), at_origin(96, 90.0, frames=2), 1.0)]
    sensor = Sensor(exposure=0.5, shot=0.002, read=0.0005)
    noisy = rasterizer.render(stage, moments, quality=SHARP, sensor=sensor, noise_seeds=[3, 500_000]).colour
    light = srgb_to_linear(noisy / 255)
    assert light.mean() == pytest.approx(0.2, abs=2e-3)
    assert light.var() == pytest.approx(0.0005 + 0.002 * 0.2, rel=0.06)
    assert np.abs(np.corrcoef(light[0].ravel(), light[1].ravel())[0, 1]) < 0.03


def test_a_photograph_stays_as_it_is_where_no_shadow_falls():
    photograph = np.random.default_rng(0).integers(20, 250, (64, 64, 3), np.uint8)
    from motiongan.rendering.appearance import srgb_to_linear
    from motiongan.rendering.scenes import _before_shoulder

    picture = _before_shoulder(srgb_to_linear(photograph / 255))
    scene = replace(ground_scene(), ground=None, picture=picture, matte=1.0)
    vertices, faces = box((-0.2, -0.2, 0.5), (0.2, 0.2, 0.9))
    rotation, translation = look_at(torch.tensor([[0.5, -5.0, 2.0]]), torch.tensor([[0.3, 0.0, 0.3]]))
    camera = Camera(intrinsics_of(60.0, 64, 64)[None], rotation, translation, 64, 64)
    quality = Quality(samples=1, shadows=True, dressed=False)
    buffers = draw(vertices[None, None], faces, camera, quality=quality, scene=scene, cull=True)
    behind = buffers.instance[0] == 0
    change = (buffers.colour[0].astype(int) - photograph).mean(-1)[behind]
    assert np.isinf(buffers.depth[0][behind]).all()
    assert np.median(np.abs(change)) <= 1
    assert (np.abs(change) <= 1).mean() > 0.9
    assert (change < -20).sum() > 10  # the shadow


def test_a_texture_lies_with_its_left_on_the_left_and_its_top_up():
    from rendering.meshes_by_hand import MARKS

    from motiongan.rendering.appearance import draw_looks

    # A square that faces the camera, 16 x 16 pixels; v grows upwards.
    square = np.array([[-1, -1, 2], [1, -1, 2], [-1, 1, 2], [1, 1, 2.0]], np.float32)
    places = np.array([[0, 1], [1, 1], [0, 0], [1, 0.0]])
    faces = np.array([[0, 2, 1], [1, 2, 3]])
    weights = np.eye(24, dtype=np.float32)[np.zeros(4, int)]
    rasterizer = Rasterizer(faces, square, weights, texture_coordinates=places, texture_faces=faces)
    texture = np.zeros((64, 64, 3), np.float32)
    texture[:32, :32, 0] = texture[:32, 32:, 1] = texture[32:, :32, 2] = 1  # red, green / blue, black
    looks = draw_looks(["neutral"], random=np.random.default_rng(0))
    stage = rasterizer.stage(NOWHERE, looks, MARKS, [texture])
    colour = rasterizer.render(stage, [(square[None, None], at_origin(16, 16.0), 1.0)], quality=SHARP).colour[0]
    assert colour[3, 3].argmax() == 0
    assert colour[3, 12].argmax() == 1
    assert colour[12, 3].argmax() == 2
    assert colour[12, 12].max() < colour[3, 3].max() / 3
