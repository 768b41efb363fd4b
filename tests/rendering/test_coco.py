import contextlib
import io
import json
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from painted_scene import painted_clip

from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.rendering.bedlam import RecordWriter, read_blocks
from motiongan.rendering.camera import Camera
from motiongan.rendering.coco import evaluate_against_itself, write_coco
from motiongan.rendering.frames import PersonTrack, RenderedClip
from motiongan.rendering.keypoints import Keypoints, body_keypoints
from motiongan.rendering.rasterizer import Buffers

# pycocotools 2.0.11 decodes masks through what numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def record(folder, clip: RenderedClip, body: Body, keypoints: Keypoints) -> None:
    writer = RecordWriter(folder, keypoints, body)
    writer.write(clip)
    writer.close()


@pytest.fixture(scope="module")
def clips(body: Body) -> list[RenderedClip]:
    return [
        painted_clip(body, num_frames=2, name="00000_squat"),
        painted_clip(body, num_frames=1, name="00000_squat", view=1),
        painted_clip(body, num_frames=2, name="00001_run"),
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, clips, body, keypoints):
    """A run's folder with the records of `clips` and their coco.json."""
    folder = tmp_path_factory.mktemp("run")
    for clip in clips:
        record(folder, clip, body, keypoints)
    write_coco(folder, licence="CC0-1.0")
    return folder


@pytest.fixture(scope="module")
def content(folder):
    return json.loads((folder / "coco.json").read_text())


def test_coco_scores_its_own_annotations_with_1(folder):
    precision = evaluate_against_itself(folder / "coco.json")
    assert precision == pytest.approx({"keypoints": 1, "bbox": 1, "segm": 1}, abs=1e-6)


def test_a_person_of_whom_no_keypoint_is_in_the_picture_does_not_lower_the_score(folder, content, tmp_path):
    person = content["annotations"][0]
    without = {**person, "keypoints": [0] * len(person["keypoints"]), "num_keypoints": 0}
    path = tmp_path / "coco.json"
    path.write_text(json.dumps({**content, "annotations": [without, *content["annotations"][1:]]}))
    assert evaluate_against_itself(path) == pytest.approx({"keypoints": 1, "bbox": 1, "segm": 1}, abs=1e-6)


def test_pycocotools_reads_back_the_masks_and_finds_the_same_boxes_and_areas(folder, clips):
    from pycocotools import mask
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "coco.json"))
    assert [coco.imgs[image]["file_name"] for image in coco.getImgIds()] == [
        f"images/{name}.png"
        for name in (
            *("00000_squat_view0/000000", "00000_squat_view0/000002", "00000_squat_view1/000000"),
            *("00001_run_view0/000000", "00001_run_view0/000002"),
        )
    ]
    frames = [(clip, index) for clip in clips for index in range(len(clip.buffers))]
    assert len(coco.anns) == 10
    for annotation in coco.anns.values():
        clip, index = frames[annotation["image_id"] - 1]
        expected = clip.buffers.instance[index] == annotation["person"]
        assert np.array_equal(coco.annToMask(annotation), expected)
        assert annotation["bbox"] == mask.toBbox(annotation["segmentation"]).tolist()
        assert annotation["area"] == mask.area(annotation["segmentation"])
        assert annotation["iscrowd"] == 0


def test_the_category_names_cocos_keypoints_in_cocos_order(content):
    (category,) = content["categories"]
    assert category["keypoints"] == [
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ]
    names = [
        {category["keypoints"][a - 1].split("_")[-1], category["keypoints"][b - 1].split("_")[-1]}
        for a, b in category["skeleton"]
    ]
    assert names[:4] == [{"ankle", "knee"}, {"knee", "hip"}, {"ankle", "knee"}, {"knee", "hip"}]
    assert len(names) == 19


def by_hand(body: Body, place: tuple[float, float, float]) -> RenderedClip:
    """One person all of whom lies in one point, before a camera at (0, -4, 1) that looks along +y."""
    joints = np.tile(np.array(place, np.float32), (1, 24, 1))
    vertices = np.tile(np.array(place, np.float32), (1, body.num_vertices, 1))
    track = PersonTrack(
        np.zeros((1, 24, 3), np.float32), np.zeros((1, 3), np.float32), np.zeros(10, np.float32), joints, vertices,
        action="stand", clip=0,
    )  # fmt: skip
    intrinsics = torch.tensor([[[100.0, 0.0, 32.0], [0.0, 100.0, 24.0], [0.0, 0.0, 1.0]]])
    rotation = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]])
    camera = Camera(intrinsics, rotation, torch.tensor([[0.0, 1.0, 4.0]]), 64, 48)
    buffers = Buffers.empty(1, 48, 64)
    buffers.instance[0, 18:22, 40:50] = 1
    buffers.depth[0, 18:22, 40:50] = 4
    return RenderedClip(camera, buffers, (track,), [0], 30.0, "scene", 0)


def only_annotation(folder, clip, body) -> tuple[dict, dict]:
    record(folder, clip, body, body_keypoints(body, ("coco17", "smpl24")))
    content = json.loads(write_coco(folder).read_text())
    return content["images"][0], content["annotations"][0]


def test_keypoints_count_from_the_centre_of_the_first_pixel_and_boxes_from_its_corner(tmp_path, body):
    image, annotation = only_annotation(tmp_path, by_hand(body, (0.5, 0.0, 1.2)), body)
    assert annotation["keypoints"][15:18] == [44.0, 18.5, 2]  # 32 + 100 x 0.5 / 4 - 0.5; 24 - 100 x 0.2 / 4 - 0.5
    assert annotation["bbox"] == [40, 18, 10, 4]
    assert annotation["area"] == 40
    assert annotation["num_keypoints"] == 17
    assert image["camera"]["K"] == [[100, 0, 31.5], [0, 100, 23.5], [0, 0, 1]]


def test_points_outside_the_picture_are_zeros(tmp_path, body):
    _, annotation = only_annotation(tmp_path, by_hand(body, (1.4, 0.0, 1.2)), body)  # 32 + 35 = column 67 of 64
    assert annotation["keypoints"] == [0] * 51
    assert annotation["num_keypoints"] == 0
    assert annotation["keypoints_3d"]["coco17"][5] == pytest.approx([1.4, -0.2, 4.0])  # they are known all the same


def test_the_files_camera_projects_its_3d_points_to_its_keypoints(content):
    for annotation in content["annotations"]:
        camera = content["images"][annotation["image_id"] - 1]["camera"]
        for name, field in (("coco17", "keypoints"), ("h36m17", "keypoints_h36m17"), ("smpl24", "keypoints_smpl24")):
            triples = np.array(annotation[field]).reshape(-1, 3)
            image = np.array(annotation["keypoints_3d"][name]) @ np.array(camera["K"]).T
            seen = triples[:, 2] > 0
            assert seen.any()
            np.testing.assert_allclose(triples[seen, :2], (image[:, :2] / image[:, 2:])[seen], atol=0.011)


def test_smpl_parameters_in_the_file_give_its_3d_joints(content, body):
    for annotation in content["annotations"]:
        smpl = annotation["smpl"]
        vertices = body.vertices(
            torch.tensor(smpl["poses"]).reshape(24, 3), torch.tensor(smpl["trans"]), torch.tensor(smpl["betas"])
        )
        nose = vertices[body.keypoint_vertices[body.keypoint_names.index("nose")]]
        np.testing.assert_allclose(nose, annotation["keypoints_3d"]["coco17"][0], atol=3e-5)


def test_what_was_not_given_is_null(content):
    first, second = content["annotations"][:2]
    assert (first["action"], first["seed"]) == ("squat", 11)
    assert (second["action"], second["seed"]) == (None, None)


def test_a_resumed_run_gives_the_same_file_as_an_unbroken_one(tmp_path, folder, clips, body, keypoints):
    record(tmp_path, clips[2], body, keypoints)  # the first to be finished; then the run was interrupted
    half = json.loads(write_coco(tmp_path, licence="CC0-1.0").read_text())
    assert [image["scene"] for image in half["images"]] == ["00001_run"] * 2  # valid as far as it goes
    for clip in (clips[1], clips[0]):
        record(tmp_path, clip, body, keypoints)
    assert write_coco(tmp_path, licence="CC0-1.0").read_bytes() == (folder / "coco.json").read_bytes()


def test_records_read_frame_by_frame_give_the_same_file(folder, tmp_path, monkeypatch):
    shutil.copytree(folder / "annotations", tmp_path / "annotations")
    monkeypatch.setattr("motiongan.rendering.coco.read_blocks", partial(read_blocks, frames=1))
    assert write_coco(tmp_path, licence="CC0-1.0").read_bytes() == (folder / "coco.json").read_bytes()


def test_a_folder_without_annotations_is_told_in_one_line(tmp_path):
    with pytest.raises(MotionganError, match="nothing was rendered to its end"):
        write_coco(tmp_path)
    assert not (tmp_path / "coco.json").exists()
