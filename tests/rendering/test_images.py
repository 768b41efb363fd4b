import json

import numpy as np
import pytest
from painted_scene import painted_clip
from PIL import Image

from motiongan.body.smpl import load_body
from motiongan.files import remove_leftovers, whole_file
from motiongan.rendering.images import ImageWriter, depth_to_millimetres, millimetres_to_depth, read_png


def test_depth_is_whole_millimetres_with_0_for_nothing_and_65535_for_far_away():
    depth = np.array([2.0, 1.2344, 1.2346, np.inf, 65.534, 65.535, 900.0, 0.0001], np.float32)
    assert depth_to_millimetres(depth).tolist() == [2000, 1234, 1235, 0, 65534, 65535, 65535, 1]


def test_depth_comes_back_within_half_a_millimetre():
    depth = np.random.default_rng(0).uniform(0.1, 60, (20, 30)).astype(np.float32)
    back = millimetres_to_depth(depth_to_millimetres(depth))
    np.testing.assert_allclose(back, depth, atol=5.1e-4)
    assert millimetres_to_depth(np.array([0, 65535], np.uint16)).tolist() == [np.inf, np.inf]


def test_pictures_hold_the_numbers_of_the_buffers(tmp_path):
    clip = painted_clip(load_body(), num_frames=2)
    writer = ImageWriter(tmp_path, ("images", "instance", "part", "depth"))
    writer.write(clip)
    writer.close()
    second = "00007_squat_view0/000002.png"  # by its frame number, not its place in the piece
    assert np.array_equal(read_png(tmp_path / "images" / second), clip.buffers.colour[1])
    assert np.array_equal(read_png(tmp_path / "instance" / second), clip.buffers.instance[1])
    assert np.array_equal(read_png(tmp_path / "part" / second), clip.buffers.part[1])
    assert np.array_equal(read_png(tmp_path / "depth" / second), depth_to_millimetres(clip.buffers.depth[1]))
    assert len(list(tmp_path.rglob("*.png"))) == 8
    with Image.open(tmp_path / "depth" / second) as depth, Image.open(tmp_path / "instance" / second) as mask:
        assert (depth.mode, mask.mode) == ("I;16", "L")


def test_a_file_whose_writing_fails_leaves_the_old_one_and_no_other(tmp_path):
    target = tmp_path / "coco.json"
    target.write_text("old")
    loop: list = [1, 2]
    loop.append(loop)  # json writes the start of it, then finds that it has no end
    with pytest.raises(ValueError, match="Circular"), whole_file(target) as temporary, open(temporary, "w") as file:
        json.dump(loop, file)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_names_the_file_that_was_wanted(tmp_path):
    with pytest.raises(OSError) as caught, whole_file(tmp_path / "coco.json"):
        raise OSError(28, "No space left on device")
    assert (caught.value.errno, caught.value.filename) == (28, str(tmp_path / "coco.json"))


def test_what_a_killed_run_left_half_written_can_be_swept_away(tmp_path):
    (tmp_path / "depth" / "scene").mkdir(parents=True)
    half = tmp_path / "depth" / "scene" / ".000000.png.4711.part"
    whole = tmp_path / "depth" / "scene" / "000001.png"
    half.touch()
    whole.touch()
    remove_leftovers(tmp_path)
    assert not half.exists()
    assert whole.exists()
