"""The .glb file against the rules of glTF 2.0 and against its body, read by a reader of the tests' own."""

import json
import shutil
import struct
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import roma
import torch

from motiongan.body.joint_sets import RIG_NAMES
from motiongan.exports.glb import vertex_normals, write_glb

pytest_plugins = ("exports.export_fixtures",)

Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """A .glb file taken apart: its JSON, its binary chunk and its arrays."""

    def __init__(self, data: bytes) -> None:
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert (kind, size % 4) == (b"JSON", 0)
        self.json = json.loads(data[20 : 20 + size])
        binary_size, binary_kind = struct.unpack_from("<I4s", data, 20 + size)
        assert (binary_kind, binary_size % 4) == (b"BIN\0", 0)
        self.binary = data[28 + size :]
        assert len(self.binary) == binary_size

    def array(self, accessor: int) -> np.ndarray:
        about = self.json["accessors"][accessor]
        view, width = self.json["bufferViews"][about["bufferView"]], WIDTHS[about["type"]]
        dtype = np.dtype(TYPES[about["componentType"]])
        assert about["count"] * width * dtype.itemsize == view["byteLength"]
        return np.frombuffer(self.binary, dtype, about["count"] * width, view["byteOffset"]).reshape(-1, width)

    def joint_matrices(self, frame: int) -> np.ndarray:
        """(24, 4, 4) what the skeleton does to a rest vertex at a frame: global transform @ inverse bind matrix."""
        nodes, skin, animation = self.json["nodes"], self.json["skins"][0], self.json["animations"][0]
        local = [{"translation": node.get("translation", [0, 0, 0]), "rotation": [0, 0, 0, 1]} for node in nodes]
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            local[channel["target"]["node"]][channel["target"]["path"]] = self.array(sampler["output"])[frame]
        world: dict[int, np.ndarray] = {}

        def visit(node: int, above: np.ndarray) -> None:
            own = np.eye(4)
            quaternion = torch.tensor(np.array(local[node]["rotation"], dtype=np.float64))
            own[:3, :3] = roma.unitquat_to_rotmat(quaternion).numpy()
            own[:3, 3] = local[node]["translation"]
            world[node] = above @ own
            for child in nodes[node].get("children", []):
                visit(child, world[node])

        for root in self.json["scenes"][0]["nodes"]:
            visit(root, np.eye(4))
        inverse_bind = self.array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2).astype(np.float64)
        return np.stack([world[joint] @ inverse for joint, inverse in zip(skin["joints"], inverse_bind)])

    def vertices(self, frame: int) -> np.ndarray:
        """(vertices, 3) the skinned mesh at a frame."""
        attributes = self.json["meshes"][0]["primitives"][0]["attributes"]
        rest, joints, weights = (self.array(attributes[name]) for name in ("POSITION", "JOINTS_0", "WEIGHTS_0"))
        points = np.concatenate([rest, np.ones((len(rest), 1))], axis=1)
        moved = np.einsum("vk,vkij,vj->vi", weights.astype(np.float64), self.joint_matrices(frame)[joints], points)
        return moved[:, :3]


@pytest.fixture
def written(opened, tmp_path):
    def written(path):
        export, named = opened(path)
        file = write_glb(export, named, tmp_path)
        return Glb(file.read_bytes()), export, named.clip, file

    return written


def test_the_skinned_mesh_is_the_body_posed_by_the_clip(written, moving_file):
    glb, export, clip, _ = written(moving_file)
    frame = 7
    skinned = replace(export.body, posedirs=None)  # glTF has no pose correctives
    expected = skinned.vertices(
        torch.from_numpy(clip.poses[frame]), torch.from_numpy(clip.trans[frame]), torch.from_numpy(clip.betas)
    )
    np.testing.assert_allclose(glb.vertices(frame), expected.numpy() @ Y_UP.T, atol=2e-6)


def test_in_the_bind_pose_the_skeleton_moves_no_vertex(written, moving_file):
    glb, _, _, _ = written(moving_file)
    glb.json["animations"][0]["channels"] = []
    np.testing.assert_allclose(glb.joint_matrices(0), np.tile(np.eye(4), (24, 1, 1)), atol=1e-6)


def test_the_arrays_keep_the_rules_of_gltf(written, moving_file):
    glb, _, clip, _ = written(moving_file)
    document = glb.json
    assert document["asset"]["version"] == "2.0"
    assert document["asset"]["copyright"] == "CC0-1.0"
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= document["buffers"][0]["byteLength"] == len(glb.binary)
    primitive = document["meshes"][0]["primitives"][0]
    arrays = {name: glb.array(accessor) for name, accessor in primitive["attributes"].items()}
    position = document["accessors"][primitive["attributes"]["POSITION"]]
    assert position["min"] == arrays["POSITION"].min(0).tolist()
    assert position["max"] == arrays["POSITION"].max(0).tolist()
    np.testing.assert_allclose(np.linalg.norm(arrays["NORMAL"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(arrays["WEIGHTS_0"].sum(1), 1, atol=1e-6)
    assert arrays["JOINTS_0"].dtype == np.uint8
    assert arrays["JOINTS_0"].max() < 24
    assert (arrays["JOINTS_0"][arrays["WEIGHTS_0"] == 0] == 0).all()
    indices = glb.array(primitive["indices"])
    assert (indices.dtype, len(indices) % 3) == (np.uint16, 0)
    assert indices.max() < len(arrays["POSITION"])
    targets = {document["bufferViews"][document["accessors"][primitive["indices"]]["bufferView"]]["target"]}
    assert targets == {34963}
    times = glb.array(document["animations"][0]["samplers"][0]["input"])[:, 0]
    about = document["accessors"][document["animations"][0]["samplers"][0]["input"]]
    assert (about["min"], about["max"]) == ([times.min()], [times.max()])
    np.testing.assert_allclose(times, np.arange(clip.num_frames) / 30, atol=1e-6)
    for sampler in document["animations"][0]["samplers"]:
        values = glb.array(sampler["output"])
        assert len(values) == clip.num_frames
        if values.shape[1] == 4:
            np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-5)
            assert ((values[1:] * values[:-1]).sum(1) >= 0).all()  # no turn the long way round


def test_a_raised_left_hand_is_up_and_on_the_left(written, raised_file):
    glb, export, _, _ = written(raised_file)
    names = [node["name"] for node in glb.json["nodes"]]
    assert tuple(names[:24]) == RIG_NAMES
    vertices, part = glb.vertices(0), export.body.part.numpy()
    left, right, head = (vertices[part == joint].mean(0) for joint in (22, 23, 15))
    assert left[1] > head[1] + 0.3
    assert right[1] < head[1] - 0.5
    assert left[0] > right[0]
    toes, ankles = (vertices[np.isin(part, joints)].mean(0) for joints in ((10, 11), (7, 8)))
    assert toes[2] > ankles[2] + 0.05  # faces +Z
    assert glb.json["extras"]["action"] == "raise_left"


def test_normals_point_outward_and_weigh_faces_by_area():
    corners = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]])
    faces = np.array(
        [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]
    )  # a corner of a cube, outside is away from (1, 1, 1)/4
    normals = vertex_normals(corners, faces)
    np.testing.assert_allclose(normals[0], -np.ones(3) / np.sqrt(3), atol=1e-6)
    np.testing.assert_allclose(normals[4], [0, 1, 0])  # without a face


def test_the_validator_of_khronos_has_nothing_to_remark(written, moving_file):
    """Node.js and its package gltf-validator, where they are: `npm install gltf-validator`, NODE_PATH."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('gltf-validator')"], capture_output=True).returncode:
        pytest.skip("Node.js with its package gltf-validator is not here")
    _, _, _, file = written(moving_file)
    script = (
        "require('gltf-validator').validateBytes(new Uint8Array(require('fs').readFileSync(process.argv[1])))"
        ".then(report => console.log(JSON.stringify(report)))"
    )
    done = subprocess.run([node, "-e", script, str(file)], capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["issues"]["messages"] == []
    assert (report["info"]["animationCount"], report["info"]["hasSkins"]) == (1, True)


def test_trimesh_and_pygltflib_load_it(written, moving_file):
    trimesh, pygltflib = pytest.importorskip("trimesh"), pytest.importorskip("pygltflib")
    _, export, _, file = written(moving_file)
    mesh = trimesh.load(file).geometry["body"]
    assert (len(mesh.vertices), len(mesh.faces)) == (export.body.num_vertices, len(export.body.faces))
    document = pygltflib.GLTF2().load(str(file))
    assert (len(document.skins[0].joints), len(document.animations[0].channels)) == (24, 25)
