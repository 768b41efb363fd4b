import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from painted_scene import cut
from torch.testing import assert_close

from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.rendering.bedlam import (
    RecordWriter,
    find_records,
    is_complete,
    read_blocks,
    read_facts,
    read_record,
    record_path,
)
from motiongan.rendering.frames import RenderedClip
from motiongan.rendering.keypoints import Keypoints


@pytest.fixture
def record(tmp_path, body: Body, keypoints: Keypoints, clip: RenderedClip):
    """The path of the record of `clip`."""
    writer = RecordWriter(tmp_path, keypoints, body)
    writer.write(clip)
    writer.close()
    return record_path(tmp_path, clip.stem)


def test_bedlams_rule_places_the_body_before_its_camera(body: Body, record, clip: RenderedClip):
    """As its trainers do: vertices = model(pose_cam, trans_cam) + cam_ext[:3, 3], or cam_ext x the world's vertices."""
    row, frame, track = 3, 1, clip.people[1]  # the second person in the second frame
    expected = clip.camera[frame].to_camera(torch.from_numpy(track.vertices[frame]))
    with np.load(record, allow_pickle=False) as archive:
        data = {name: archive[name][row] for name in archive.files if archive[name].ndim and len(archive[name]) == 6}

    def vertices(pose: str, trans: str) -> torch.Tensor:
        poses = torch.from_numpy(data[pose]).reshape(24, 3)
        return body.vertices(poses, torch.from_numpy(data[trans]), torch.from_numpy(data["shape"]))

    rotation, translation = torch.from_numpy(data["cam_ext"][:3, :3]), torch.from_numpy(data["cam_ext"][:3, 3])
    assert_close(vertices("pose_cam", "trans_cam") + translation, expected, atol=1e-5, rtol=0)
    assert_close(vertices("pose_world", "trans_world") @ rotation.T + translation, expected, atol=1e-5, rtol=0)


def test_gtkps_are_the_24_joints_seen_through_the_camera(record, clip: RenderedClip):
    with np.load(record, allow_pickle=False) as data:
        rotation, translation = data["cam_ext"][3][:3, :3], data["cam_ext"][3][:3, 3]
        image = (clip.people[1].joints[1] @ rotation.T + translation) @ data["cam_int"][3].T
        np.testing.assert_allclose(data["gtkps"][3, :, :2], image[:, :2] / image[:, 2:], atol=1e-3)
        assert (data["gtkps"][..., 2] == 1).all()


def test_the_columns_of_bedlam_have_its_shapes_and_need_no_pickle(record):
    shapes = {
        "imgname": (), "center": (2,), "scale": (), "pose_cam": (72,), "pose_world": (72,), "shape": (10,),
        "trans_cam": (3,), "trans_world": (3,), "cam_int": (3, 3), "cam_ext": (4, 4), "gtkps": (24, 3),
        "gender": (), "sub": (),
    }  # fmt: skip
    with np.load(record, allow_pickle=False) as data:
        assert {name: data[name].shape for name in shapes} == {name: (6, *shape) for name, shape in shapes.items()}
        assert all(data[name].dtype != object for name in data.files)


def test_a_clip_in_pieces_gives_the_same_bytes_as_in_one(tmp_path, body, keypoints, clip, record):
    writer = RecordWriter(tmp_path / "pieces", keypoints, body)
    writer.write(cut(clip, 0, 1))
    writer.write(cut(clip, 1, 3))
    writer.close()
    assert record_path(tmp_path / "pieces", clip.stem).read_bytes() == record.read_bytes()


def test_a_clip_that_was_not_closed_leaves_nothing_and_is_not_complete(tmp_path, body, keypoints, clip):
    writer = RecordWriter(tmp_path, keypoints, body)
    writer.write(cut(clip, 0, 2))
    assert not is_complete(tmp_path, clip.stem)
    assert list(tmp_path.rglob("*")) == []
    writer.write(cut(clip, 2, 3))
    writer.close()
    assert is_complete(tmp_path, clip.stem)
    assert [path.name for path in find_records(tmp_path)] == ["00007_squat_view0.npz"]


def test_a_record_names_points_people_and_draws(record, keypoints):
    read = read_record(record)
    assert (read.num_images, read.num_people) == (3, 6)
    assert read.facts["frame_rate"] == 15.0
    assert json.loads(read.facts["draws"]) == {"light": [0.25, 0.5]}
    assert read.keypoint_names["coco17"][9] == "left_wrist"
    assert [person["clip"] for person in json.loads(read.facts["people"])] == [7, 9]
    assert read.columns["image_frame"].tolist() == [0, 2, 4]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_record_in_blocks_is_the_record(record, frames):
    whole, blocks = read_record(record), list(read_blocks([record], frames=frames))
    assert [block.start for block in blocks] == list(range(0, 3, frames))
    assert sum(block.num_people for block in blocks) == 6
    for name, column in whole.columns.items():
        # `image` counts from the first frame of each block.
        parts = [block.columns[name] + block.start if name == "image" else block.columns[name] for block in blocks]
        np.testing.assert_array_equal(np.concatenate(parts), column)
    assert read_facts(record) == (whole.facts, 3)
    assert all(block.facts == whole.facts for block in blocks)


def test_a_record_damaged_within_is_told_in_one_line(record):
    data = bytearray(record.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    record.write_bytes(data)
    with pytest.raises(MotionganError, match="not a readable annotation file") as caught:
        read_record(record)
    assert "\n" not in str(caught.value)


def test_a_damaged_or_foreign_record_is_told_in_one_line(tmp_path, record):
    record.write_bytes(record.read_bytes()[:1000])
    with pytest.raises(MotionganError, match="not a readable annotation file"):
        read_record(record)
    foreign = tmp_path / "other.npz"
    np.savez(foreign, poses=np.zeros(3))
    with pytest.raises(MotionganError, match="not an annotation file"):
        read_record(foreign)


def test_every_array_of_a_record_is_told_in_the_docs(record, keypoints):
    text = (Path(__file__).resolve().parents[2] / "docs" / "annotations.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(\w+)`", text))
    with np.load(record, allow_pickle=False) as data:
        names = set(data.files)
    for points in keypoints.sets:
        names = {name.replace(f"_{points}", "_SET") for name in names}
    assert names - told == set()
