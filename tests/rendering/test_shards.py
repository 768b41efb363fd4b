import io
import json
import shutil
import tarfile
from collections import defaultdict

import numpy as np
import pytest
from painted_scene import painted_clip
from PIL import Image

from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.rendering.bedlam import RecordWriter
from motiongan.rendering.coco import write_coco
from motiongan.rendering.images import ImageWriter
from motiongan.rendering.keypoints import body_keypoints
from motiongan.rendering.shards import write_shards


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two scenes with 3 and 2 frames, all pictures written."""
    folder = tmp_path_factory.mktemp("run")
    body = load_body()
    for clip in (
        painted_clip(body, num_frames=3, name="00000_a.b"),
        painted_clip(body, num_frames=2, name="00001_run"),
    ):
        for writer in (
            ImageWriter(folder, ("images", "instance", "part", "depth")),
            RecordWriter(folder, body_keypoints(body), body),
        ):
            writer.write(clip)
            writer.close()
    return folder


@pytest.fixture
def folder(run, tmp_path):
    """A copy of the run, for one test."""
    return shutil.copytree(run, tmp_path / "run")


def samples(paths) -> dict[str, dict[str, bytes]]:
    """Samples by key, as WebDataset groups them: neighbours whose names agree up to the first point."""
    grouped: dict[str, dict[str, bytes]] = defaultdict(dict)
    last = None
    for path in paths:
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, extension = member.name.partition(".")
                assert key == last or key not in grouped, "a sample's files stand together"
                grouped[key][extension] = tar.extractfile(member).read()
                last = key
    return grouped


def test_each_frame_is_one_sample_with_pictures_and_annotations(folder):
    shards = write_shards(folder, generator=np.random.default_rng(0), samples_per_shard=2)
    assert [path.name for path in shards] == [f"shard-00000{number}.tar" for number in range(3)]
    found = samples(shards)
    assert sorted(found) == [
        *("00000_a-b_view0_000000", "00000_a-b_view0_000002", "00000_a-b_view0_000004"),
        *("00001_run_view0_000000", "00001_run_view0_000002"),
    ]
    coco = json.loads(write_coco(folder).read_text())
    for image in coco["images"]:
        sample = found[
            image["file_name"].removeprefix("images/").removesuffix(".png").replace("/", "_").replace(".", "-")
        ]
        assert sorted(sample) == ["depth.png", "instance.png", "json", "part.png", "png"]
        content = json.loads(sample["json"])
        expected = [person for person in coco["annotations"] if person["image_id"] == image["id"]]
        assert [person["keypoints"] for person in content["annotations"]] == [p["keypoints"] for p in expected]
        assert content["image"]["camera"] == image["camera"]
        mask = np.array(Image.open(io.BytesIO(sample["instance.png"])))
        assert [(mask == person["person"]).sum() for person in content["annotations"]] == [p["area"] for p in expected]


def test_equal_seeds_give_equal_bytes_and_others_another_order(folder):
    first = [path.read_bytes() for path in write_shards(folder, generator=np.random.default_rng(1))]
    assert [path.read_bytes() for path in write_shards(folder, generator=np.random.default_rng(1))] == first
    keys = list(samples(write_shards(folder, generator=np.random.default_rng(1))))
    assert keys != sorted(keys)
    assert list(samples(write_shards(folder, generator=np.random.default_rng(2)))) != keys


def test_shards_of_an_earlier_run_do_not_stay(folder):
    assert len(write_shards(folder, generator=np.random.default_rng(0), samples_per_shard=1)) == 5
    write_shards(folder, generator=np.random.default_rng(0))
    assert [path.name for path in (folder / "shards").iterdir()] == ["shard-000000.tar"]


def test_a_missing_picture_is_told_in_one_line_and_leaves_no_shard(folder):
    missing = folder / "images" / "00001_run_view0" / "000002.png"
    missing.unlink()
    with pytest.raises(MotionganError, match=r"000002\.png: missing"):
        write_shards(folder, generator=np.random.default_rng(0))
    assert list((folder / "shards").iterdir()) == []
