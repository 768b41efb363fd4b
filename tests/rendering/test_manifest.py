import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from painted_scene import cut, painted_clip

from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError
from motiongan.files import remove_leftovers
from motiongan.motion.store import MotionFile
from motiongan.rendering.bedlam import RecordWriter, is_complete
from motiongan.rendering.coco import write_coco
from motiongan.rendering.frames import RenderedClip
from motiongan.rendering.images import FOLDERS, ImageWriter
from motiongan.rendering.keypoints import Keypoints, body_keypoints
from motiongan.rendering.manifest import (
    Manifest,
    describe_body,
    describe_source,
    file_hash,
    finish_manifest,
    read_manifest,
    start_manifest,
)
from motiongan.rendering.shards import write_shards


@pytest.fixture
def manifest(motion_file) -> Manifest:
    with MotionFile(motion_file) as motion:
        source = describe_source(motion_file, motion.attributes)
    return Manifest(source, describe_body(None, load_body()), seed=3, options={"size": [96, 72], "views": 1})


def test_the_hash_is_the_sha256_of_the_bytes(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert file_hash(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_manifest_names_sources_licences_seeds_and_rules(tmp_path, manifest, motion_file):
    start_manifest(tmp_path, manifest, resume=False)
    content = read_manifest(tmp_path)
    assert content["source"]["sha256"] == file_hash(motion_file)
    assert content["source"]["attributes"]["licence"] == "CC0-1.0"
    assert "Apache-2.0" in content["body"]["licence"]
    assert content["body"]["model"] == "motiongan"
    assert content["seed"] == 3
    assert content["complete"] is False
    assert "(0.5, 0.5)" in content["pixel_rule"]
    assert "65535" in content["depth_rule"]


def test_a_finished_manifest_tells_what_was_drawn_for_each_scene(tmp_path, manifest):
    body = load_body()
    keypoints, clip = body_keypoints(body, ("coco17", "smpl24")), painted_clip(body, num_frames=1)
    start_manifest(tmp_path, manifest, resume=False)
    for name in ("00001_run", "00000_squat"):
        writer = RecordWriter(tmp_path, keypoints, body)
        writer.write(replace(clip, name=name))
        writer.close()
    finish_manifest(tmp_path, manifest)
    content = read_manifest(tmp_path)
    assert (tmp_path / "manifest.json").read_text() == json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    assert content["complete"] is True
    assert [scene["scene"] for scene in content["scenes"]] == ["00000_squat", "00001_run"]
    scene = content["scenes"][0]
    assert scene["draws"] == {"light": [0.25, 0.5]}
    assert [(person["clip"], person["action"], person["seed"]) for person in scene["people"]] == [
        (7, "squat", 11),
        (9, None, None),
    ]


def test_a_run_goes_on_only_with_what_it_was_begun_with(tmp_path, manifest):
    start_manifest(tmp_path, manifest, resume=True)  # nothing there yet: a resumed run may be the first
    before = (tmp_path / "manifest.json").read_bytes()
    start_manifest(tmp_path, manifest, resume=True)
    assert (tmp_path / "manifest.json").read_bytes() == before
    other = replace(manifest, options={"size": [512, 512], "views": 1})
    with pytest.raises(MotionganError, match=r"options.size was \[96, 72\], now it is \[512, 512\]") as caught:
        start_manifest(tmp_path, other, resume=True)
    assert "\n" not in str(caught.value)
    with pytest.raises(MotionganError, match="--resume"):
        start_manifest(tmp_path, manifest, resume=False)


def test_a_foreign_or_damaged_manifest_is_told_in_one_line(tmp_path, manifest):
    with pytest.raises(MotionganError, match=r"no manifest\.json"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"half')
    with pytest.raises(MotionganError, match="not readable JSON"):
        start_manifest(tmp_path, manifest, resume=True)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(MotionganError, match="not the manifest of a render"):
        start_manifest(tmp_path, manifest, resume=True)


def render(
    folder: Path,
    manifest: Manifest,
    scenes: list[RenderedClip],
    body: Body,
    keypoints: Keypoints,
    *,
    killed: bool = False,
) -> None:
    """What a run does with its frames; one that is killed ends within its second scene."""
    start_manifest(folder, manifest, resume=True)
    remove_leftovers(folder)
    for number, scene in enumerate(scenes):
        if is_complete(folder, scene.stem):
            continue
        writers = [ImageWriter(folder, tuple(FOLDERS)), RecordWriter(folder, keypoints, body)]
        for frame in range(len(scene.buffers)):
            for writer in writers:
                writer.write(cut(scene, frame, frame + 1))
            if killed and number == 1:
                (folder / "depth" / scene.stem / ".000002.png.4711.part").write_bytes(b"half of it")
                return
        for writer in writers:
            writer.close()
    write_coco(folder)
    write_shards(folder, generator=np.random.default_rng(manifest.seed))
    finish_manifest(folder, manifest)


def test_a_run_killed_within_a_scene_and_resumed_leaves_the_files_of_an_unbroken_one(tmp_path, manifest):
    body = load_body()
    keypoints = body_keypoints(body, ("coco17", "smpl24"))
    scene = painted_clip(body, num_frames=2)
    scenes = [replace(scene, name=name) for name in ("00000_a", "00001_b", "00002_c")]
    render(tmp_path / "unbroken", manifest, scenes, body, keypoints)
    render(tmp_path / "resumed", manifest, scenes, body, keypoints, killed=True)
    assert len(json.loads(write_coco(tmp_path / "resumed").read_text())["images"]) == 2  # the finished scene
    render(tmp_path / "resumed", manifest, scenes, body, keypoints)

    def contents(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    unbroken = contents(tmp_path / "unbroken")
    assert len(unbroken) == 3 * (2 * 4 + 1) + 3  # pictures and records; coco.json, a shard, manifest.json
    assert contents(tmp_path / "resumed") == unbroken
