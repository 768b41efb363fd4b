"""Export to glTF 2.0 (.glb): the skinned body with its skeleton and the motion, for game engines and the web.

Source: Khronos, glTF 2.0 specification, https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html. Y up, facing +Z, as
the specification wants it (3.4), metres, seconds, quaternions xyzw.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import roma
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from motiongan import __version__
from motiongan.body.joint_sets import RIG_NAMES
from motiongan.body.skeleton import NUM_JOINTS, PARENTS
from motiongan.exports.selection import Export, NamedClip
from motiongan.exports.y_up import TO_Y_UP
from motiongan.files import write_whole
from motiongan.motion.resample import continuous_signs

_JSON_CHUNK, _BINARY_CHUNK = 0x4E4F534A, 0x004E4942
_VERTEX_DATA, _INDICES = 34962, 34963  # targets of buffer views
_COMPONENT = {"uint8": 5121, "uint16": 5123, "uint32": 5125, "float32": 5126}
_INFLUENCES = 4  # joints per vertex that every viewer takes
_SKIN_COLOUR = [0.72, 0.56, 0.48, 1.0]


def write_glb(export: Export, named: NamedClip, folder: Path) -> Path:
    """Write one clip as NAME.glb and return its path: mesh in the T-pose, 24 joints, one animation.

    Joints carry the names of `RIG_NAMES`. The four largest weights of a vertex count. Pose correctives of a licensed
    body are no part of skinning and stay out.
    """
    body, clip = export.body, named.clip
    if body.posedirs is not None:
        export.note(
            f"the pose correctives of {body.name} do not go into a .glb: elbows and knees bend a little flatter"
        )
    betas = export.betas(clip)
    rest = export.bones.skeleton(betas).rest_joints.numpy()
    buffer = _Buffer()
    primitive = _mesh(buffer, body.rest_vertices(betas.float()).numpy(), body.faces.numpy(), body.weights.numpy())
    bind = np.tile(np.eye(4, dtype=np.float32), (NUM_JOINTS, 1, 1))
    bind[:, :3, 3] = -rest  # at rest the joints are not turned
    inverse_bind = buffer.add(bind.swapaxes(1, 2).reshape(NUM_JOINTS, 16), "MAT4")  # column by column
    document = {
        "asset": {"version": "2.0", "generator": f"motiongan {__version__}", **_copyright(export)},
        "scene": 0,
        "scenes": [{"nodes": [NUM_JOINTS, 0]}],
        "nodes": [*_joints(rest), {"name": "body", "mesh": 0, "skin": 0}],
        "meshes": [{"name": "body", "primitives": [primitive]}],
        "materials": [
            {
                "name": "skin",
                "pbrMetallicRoughness": {
                    "baseColorFactor": _SKIN_COLOUR,
                    "metallicFactor": 0.0,
                    "roughnessFactor": 0.8,
                },
            }
        ],
        "skins": [{"inverseBindMatrices": inverse_bind, "skeleton": 0, "joints": list(range(NUM_JOINTS))}],
        "animations": [_animation(buffer, named, rest[0])],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
        "extras": {"action": clip.action, "subject": clip.subject, "source": clip.source, "clip": named.number},
    }
    path = folder / f"{named.name}.glb"
    write_whole(path, _container(document, bytes(buffer.data)))
    return path


class _Buffer:
    """The binary chunk, with an accessor and a view for every array; each array starts at a multiple of 4 bytes."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.accessors: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []

    def add(self, array: ndarray, kind: str, *, target: int | None = None, bounds: bool = False) -> int:
        """Append an array and return its accessor's index; `bounds` states its least and greatest values."""
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": array.nbytes}
        self.views.append(view if target is None else {**view, "target": target})
        self.data += np.ascontiguousarray(array).tobytes()
        self.data += bytes(-len(self.data) % 4)
        accessor: dict[str, Any] = {
            "bufferView": len(self.views) - 1,
            "componentType": _COMPONENT[array.dtype.name],
            "count": len(array),
            "type": kind,
        }
        if bounds:
            rows = array.reshape(len(array), -1)
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1


def _mesh(
    buffer: _Buffer,
    vertices: Float[ndarray, "vertices 3"],
    faces: Int[ndarray, "faces 3"],
    weights: Float[ndarray, "vertices 24"],
) -> dict[str, Any]:
    joints = np.argsort(-weights, axis=1, kind="stable")[:, :_INFLUENCES]
    influence = np.take_along_axis(weights, joints, 1)
    influence /= influence.sum(1, keepdims=True)
    joints = np.where(influence > 0, joints, 0)  # an unused place names joint 0, as the specification asks (3.7.3.3)
    indices = faces.reshape(-1).astype(np.uint16 if len(vertices) < 2**16 - 1 else np.uint32)
    attributes = {
        "POSITION": buffer.add(vertices.astype(np.float32), "VEC3", target=_VERTEX_DATA, bounds=True),
        "NORMAL": buffer.add(vertex_normals(vertices, faces), "VEC3", target=_VERTEX_DATA),
        "JOINTS_0": buffer.add(joints.astype(np.uint8), "VEC4", target=_VERTEX_DATA),
        "WEIGHTS_0": buffer.add(influence.astype(np.float32), "VEC4", target=_VERTEX_DATA),
    }
    return {
        "attributes": attributes,
        "indices": buffer.add(indices, "SCALAR", target=_INDICES),
        "material": 0,
        "mode": 4,  # triangles
    }


def vertex_normals(
    vertices: Float[ndarray, "vertices 3"], faces: Int[ndarray, "faces 3"]
) -> Float[ndarray, "vertices 3"]:
    """Unit normals outward, the faces' weighted by their areas; up for a vertex without a face."""
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # length: twice the area
    normals = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 0, normals / np.maximum(lengths, 1e-30), [0.0, 1.0, 0.0]).astype(np.float32)


def _joints(rest: Float[ndarray, "24 3"]) -> list[dict[str, Any]]:
    nodes: list[dict[str, Any]] = []
    for joint, (name, parent) in enumerate(zip(RIG_NAMES, PARENTS)):
        children = [child for child in range(NUM_JOINTS) if PARENTS[child] == joint]
        offset = rest[joint] - rest[parent] if parent >= 0 else rest[joint]
        node = {"name": name, "translation": [float(value) for value in offset], "children": children}
        nodes.append({key: value for key, value in node.items() if value != []})
    return nodes


def _animation(buffer: _Buffer, named: NamedClip, rest_root: Float[ndarray, "3"]) -> dict[str, Any]:
    """Rotations of all joints and the root's way, linear between the frames (for rotations: along the great circle)."""
    clip = named.clip
    rotations = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double())
    rotations[:, 0] = torch.from_numpy(TO_Y_UP) @ rotations[:, 0]
    quaternions = continuous_signs(roma.rotmat_to_unitquat(rotations)).numpy().astype(np.float32)
    root = (rest_root + clip.trans.astype(np.float64)) @ TO_Y_UP.T
    times = (np.arange(clip.num_frames) / clip.frame_rate).astype(np.float32)
    at = buffer.add(times, "SCALAR", bounds=True)
    curves = [(0, "translation", buffer.add(root.astype(np.float32), "VEC3"))]
    curves += [(joint, "rotation", buffer.add(quaternions[:, joint], "VEC4")) for joint in range(NUM_JOINTS)]
    return {
        "name": named.name,
        "samplers": [{"input": at, "output": output, "interpolation": "LINEAR"} for _, _, output in curves],
        "channels": [
            {"sampler": number, "target": {"node": node, "path": path}} for number, (node, path, _) in enumerate(curves)
        ],
    }


def _copyright(export: Export) -> dict[str, str]:
    return {"copyright": export.licence} if export.licence else {}


def _container(document: dict[str, Any], binary: bytes) -> bytes:
    """The .glb file: a header and two chunks, each filled up to a multiple of 4 bytes (specification 4.4)."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), _JSON_CHUNK) + text
    chunks += struct.pack("<II", len(binary), _BINARY_CHUNK) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
