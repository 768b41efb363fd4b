"""Whole runs: the same bytes whoever renders them, resumption, and mistakes told in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("warp", reason="needs warp-lang: pip install 'motiongan[render]'")

from motiongan.cli.main import main
from motiongan.cli.render import parse_numbers
from motiongan.errors import MotionganError
from motiongan.motion.store import write_clips
from motiongan.rendering.bedlam import read_record
from motiongan.rendering.images import read_png
from motiongan.rendering.rendering import RenderOptions, SceneRenderer, choose_frames, scene_name
from motiongan.rendering.run import render_run

SMALL = ("--size", "48", "--frames", "count:2", "--scene", "plain", "--workers", "1")


@pytest.fixture(scope="module")
def motion(tmp_path_factory) -> Path:
    """Three clips of standing people who move a little."""
    from motiongan.motion.clip import Clip

    path = tmp_path_factory.mktemp("motion") / "motion.h5"
    clips = []
    for seed, action in enumerate(("run", "jump high", None)):
        random = np.random.default_rng(seed)
        poses = 0.1 * random.standard_normal((8 + seed, 24, 3)).astype(np.float32)
        poses[:, 0] = (np.pi / 2, 0, 0)
        trans = np.zeros((8 + seed, 3), np.float32)
        trans[:, 2] = 1.2
        clips.append(Clip(poses=poses, trans=trans, frame_rate=30.0, action=action, gender="male"))
    write_clips(path, clips, kind="sample", licence="CC0-1.0")
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def rendered(motion, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "one"
    assert main(["render", str(motion), "--out", str(folder), *SMALL]) == 0
    return folder


def test_a_run_writes_pictures_masks_depth_and_annotations(rendered):
    name = "00001_jump_high_view0/000008"
    instance, part = (read_png(rendered / kind / f"{name}.png") for kind in ("instance", "part"))
    depth, colour = (read_png(rendered / kind / f"{name}.png") for kind in ("depth", "images"))
    assert colour.shape == (48, 48, 3)
    assert set(np.unique(instance)) == {0, 1}
    assert ((part > 0) == (instance > 0)).all()
    assert part.max() <= 24
    assert len(np.unique(part)) > 8
    assert 500 < np.median(depth[instance > 0]) < 30000
    # Where the record says that the pelvis is, there is the person.
    record = read_record(rendered / "annotations" / "00001_jump_high_view0.npz")
    assert record.num_images == 2
    manifest = json.loads((rendered / "manifest.json").read_text())
    assert manifest["complete"] is True
    assert len(manifest["scenes"]) == 3
    assert json.loads((rendered / "coco.json").read_text())["annotations"]


def test_two_processes_write_the_bytes_of_one(rendered, motion, tmp_path):
    options = [*SMALL[:-1], "2"]
    assert main(["render", str(motion), "--out", str(tmp_path / "two"), *options]) == 0
    assert files(tmp_path / "two") == files(rendered)


def test_an_interrupted_run_goes_on_to_the_bytes_of_an_unbroken_one(rendered, motion, tmp_path, monkeypatch):
    folder = tmp_path / "broken"
    render_scene = SceneRenderer.render_scene

    def fails_at_the_second(self, file, index):
        for count in render_scene(self, file, index):
            if index == 1:
                raise KeyboardInterrupt
            yield count

    with monkeypatch.context() as patch:
        patch.setattr(SceneRenderer, "render_scene", fails_at_the_second)
        assert main(["render", str(motion), "--out", str(folder), *SMALL]) == 130
    left = files(folder)
    assert not [name for name in left if name.endswith(".part")]
    assert json.loads(left["manifest.json"])["complete"] is False
    assert {name: left[name] for name in left if "00000_run" in name} == {
        name: content for name, content in files(rendered).items() if "00000_run" in name
    }
    assert main(["render", str(motion), "--out", str(folder), *SMALL]) == 2  # it asks for --resume
    assert main(["render", str(motion), "--out", str(folder), *SMALL, "--resume"]) == 0
    assert files(folder) == files(rendered)


def test_resuming_with_other_options_is_refused(rendered, motion, capsys):
    assert main(["render", str(motion), "--out", str(rendered), *SMALL, "--seed", "7", "--resume"]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "seed" in message


def test_several_people_and_views_have_an_instance_each(motion, tmp_path):
    options = RenderOptions(size=64, views=2, frames="count:1", scene="pitch", people=3, seed=2)
    summary = render_run(motion, tmp_path / "r", options, clips=[0])
    assert summary.frames == 2
    seen = set()
    for view in range(2):
        record = read_record(tmp_path / "r" / "annotations" / f"00000_run_view{view}.npz")
        people = json.loads(record.facts["people"])
        assert sorted(person["clip"] for person in people) == [0, 1, 2]
        assert people[0]["clip"] == 0
        seen |= set(np.unique(read_png(next((tmp_path / "r" / "instance" / f"00000_run_view{view}").iterdir()))))
    assert seen == {0, 1, 2, 3}


def test_a_video_has_the_frames_and_the_size_asked_for(motion, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="needs imageio-ffmpeg")
    options = RenderOptions(size=64, scene="plain", form="video", frame_rate=15.0)
    render_run(motion, tmp_path / "v", options, clips=[2])
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "v" / "videos" / "00002_unlabelled_view0.mp4"))
    facts = next(reader)
    assert facts["size"] == (64, 64)
    assert facts["fps"] == 15
    assert sum(1 for _ in reader) == 5  # 10 frames at 30 Hz are 0.3 s: frames at 0, 1/15, ... 4/15
    assert not list((tmp_path / "v").rglob("*.part*"))
    # The annotations name what was written: the video, and the frame's place in it.
    images = json.loads((tmp_path / "v" / "coco.json").read_text())["images"]
    assert [image["file_name"] for image in images] == ["videos/00002_unlabelled_view0.mp4"] * 5
    assert [image["video_frame"] for image in images] == [0, 1, 2, 3, 4]
    assert not [name for image in images for name in image if name.endswith("_file")]
    record = read_record(tmp_path / "v" / "annotations" / "00002_unlabelled_view0.npz")
    assert set(record.columns["imgname"]) == set(record.columns["image_name"]) == {images[0]["file_name"]}


def test_meshes_are_written_in_place_of_pictures(motion, tmp_path):
    assert (
        main(
            [
                "render",
                str(motion),
                "--out",
                str(tmp_path / "m"),
                "--format",
                "meshes",
                "--clips",
                "0,2",
                "--workers",
                "1",
            ]
        )
        == 0
    )
    with np.load(tmp_path / "m" / "meshes" / "00002_unlabelled.npz") as meshes:
        assert meshes["vertices"].shape[:2] == (1, 10)
        assert meshes["joints"].shape == (1, 10, 24, 3)
        assert meshes["faces"].max() == meshes["vertices"].shape[2] - 1
        # The pelvis is inside the mesh: the middle of its vertices is near it.
        assert np.abs(meshes["vertices"][0, 0, meshes["part"] == 0].mean(0) - meshes["joints"][0, 0, 0]).max() < 0.15
    assert not (tmp_path / "m" / "images").exists()


def test_a_long_clip_in_pieces_is_the_same_as_in_one(motion, tmp_path, monkeypatch):
    options = RenderOptions(size=32, scene="plain", seed=1)
    render_run(motion, tmp_path / "one", options, clips=[0])
    monkeypatch.setattr("motiongan.rendering.rendering._MOST_FRAMES_AT_ONCE", 3)
    render_run(motion, tmp_path / "pieces", options, clips=[0])
    assert files(tmp_path / "one") == files(tmp_path / "pieces")


def test_frames_are_chosen_as_asked():
    assert choose_frames("all", 4) == [0, 1, 2, 3]
    assert choose_frames("every:3", 8) == [0, 3, 6]
    assert choose_frames("count:3", 9) == [0, 4, 8]
    assert choose_frames("count:9", 3) == [0, 1, 2]
    assert choose_frames("count:1", 9) == [4]
    for wrong in ("every:0", "count", "some", "all:2", "every:-1"):
        with pytest.raises(MotionganError, match="expected all, every:N or count:N"):
            choose_frames(wrong, 5)


def test_names_and_numbers_of_clips():
    assert scene_name(3, "run/fast") == "00003_run_fast"
    assert scene_name(12, None) == "00012_unlabelled"
    assert parse_numbers("0,5,10-12") == [0, 5, 10, 11, 12]
    with pytest.raises(MotionganError, match="numbers and ranges"):
        parse_numbers("1,x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scene", "nowhere"], "no such scene"),
        (["--size", "7"], "--size 7"),
        (["--people", "0"], "--people 0"),
        (["--format", "gif"], "expected one of frames, video, both, meshes"),
        (["--clips", "99"], "has 3 clips"),
        (["--action", "rum"], "did you mean `run`"),
        (["--body", "nothing.npz"], "no such body file"),
        (["--frames", "few"], "expected all, every:N or count:N"),
        (["--device", "tpu"], "no such device; there are cpu"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_leaves_nothing(options, message, motion, tmp_path, capsys):
    assert main(["render", str(motion), "--out", str(tmp_path / "out"), *options]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert message in told
    assert not (tmp_path / "out").exists()


def test_a_body_file_that_is_none_is_told_in_one_line(motion, tmp_path, capsys):
    (tmp_path / "body.npz").write_text("not a body")
    assert main(["render", str(motion), "--out", str(tmp_path / "out"), "--body", str(tmp_path / "body.npz")]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "not a body file; expected" in told


@pytest.mark.parametrize("package", ["warp", "pycocotools", "imageio_ffmpeg"])
def test_a_missing_package_is_named_with_its_remedy_before_anything_is_written(
    package, motion, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    assert main(["render", str(motion), "--out", str(tmp_path / "out"), "--format", "both", *SMALL]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "pip install 'motiongan[render]'" in told
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_used_is_told_in_one_line(motion, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert main(["render", str(motion), "--out", str(tmp_path / "file" / "out"), *SMALL]) == 2
    assert "cannot be written to" in capsys.readouterr().err
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious")
    assert main(["render", str(motion), "--out", str(tmp_path / "full"), *SMALL]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "holds other files" in told
    assert (tmp_path / "full" / "thesis.tex").read_text() == "precious"


def test_force_throws_away_nothing_that_no_render_wrote(motion, tmp_path, capsys):
    photo = tmp_path / "images" / "photo.png"
    photo.parent.mkdir()
    photo.write_bytes(b"precious")
    assert main(["render", str(motion), "--out", str(tmp_path), "--force", *SMALL]) == 2
    assert "is in the way" in capsys.readouterr().err
    assert files(tmp_path) == {"images/photo.png": b"precious"}
