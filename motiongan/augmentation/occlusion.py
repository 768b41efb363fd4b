"""Which points of a person its own body hides from a camera, found with the body's mesh; batched, on any device."""

from dataclasses import fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from motiongan.body.joint_sets import JOINT_SETS
from motiongan.body.kinematics import BoneShape
from motiongan.body.smpl import Body
from motiongan.rendering.camera import Camera
from motiongan.rendering.keypoints import body_keypoints

_CHUNK_NUMBERS = 1 << 22  # of one product of faces and points: 16 MB, which was fastest on a CPU
_NEAR = 0.05  # metres: faces with a corner nearer to the camera are left out


class BodyOcclusion:
    """Finds the points of a joint set that lie behind the body's own mesh.

    detail   metres: vertices of one body part within a cube of this side become one. 0 keeps every vertex
    The rule is the renderer's (`motiongan.rendering.keypoints.visibility`): the nearest surface on the way to the
    camera hides a point unless it is the flesh round that point. Against that rule with the full mesh, see
    docs/augmentation.md for the share of points on which a `detail` agrees.
    Raises ValueError for a body that is not loaded.
    """

    def __init__(self, body: Body, joint_set: str = "h36m17", detail: float = 0.04) -> None:
        if not isinstance(body, Body):
            raise ValueError(f"body is {body!r}, expected a body as `motiongan.load_body` gives it")
        points = body_keypoints(body, (joint_set,))
        self.num_points = len(JOINT_SETS[joint_set].names)
        chosen, faces = _coarse_mesh(body, detail)
        part = body.part[chosen].numpy()
        self._chosen = chosen
        self._body = body
        self._faces = torch.from_numpy(np.ascontiguousarray(faces.T))
        # A face belongs to the part of its first corner; the part picture's values are joint + 1.
        allowance = points.allowance[:, part[faces[:, 0]] + 1]  # (points, faces)
        self._allowance = torch.from_numpy(np.ascontiguousarray(allowance))
        self._mesh: Body | None = None

    @property
    def num_faces(self) -> int:
        return self._faces.shape[1]

    @torch.no_grad()
    def hidden(
        self,
        camera: Camera,
        points: Float[Tensor, "batch frames points 3"],
        poses: Float[Tensor, "batch frames 24 3"],
        trans: Float[Tensor, "batch frames 3"],
        betas: Float[Tensor, "batch used"],
        *,
        every: int = 1,
    ) -> Bool[Tensor, "batch frames points"]:
        """True where the body hides the point; a missing point (NaN) is not hidden.

        camera   of the batch axes (batch, frames), as `CameraSampler.sample` draws them
        points   world positions of the joint set, metres
        poses, trans, betas   of the person, as the motion file has them
        every    look at each `every`-th frame only, which the frames up to the next one then repeat
        """
        if every > 1:
            frames = points.shape[1]
            fewer = Camera(
                camera.intrinsics[:, ::every],
                camera.rotation[:, ::every],
                camera.translation[:, ::every],
                width=camera.width,
                height=camera.height,
            )
            few = self.hidden(fewer, points[:, ::every], poses[:, ::every], trans[:, ::every], betas)
            return few.repeat_interleave(every, dim=1)[:, :frames]
        batch, frames, count = points.shape[:3]
        assert count == self.num_points, f"{count} points, expected {self.num_points}"
        mesh, faces, allowance = self._on(points.device, points.dtype)
        flat = [values.flatten(0, 1) for values in (points, poses, trans)]
        shapes = betas[:, None].expand(-1, frames, -1).flatten(0, 1)
        rotation, translation = camera.rotation.flatten(0, 1), camera.translation.flatten(0, 1)
        step = max(1, _CHUNK_NUMBERS // (4 * faces.shape[1] * count))
        results = []
        for start in range(0, batch * frames, step):
            piece = slice(start, start + step)
            where, pose, root = (values[piece] for values in flat)
            turn, shift = rotation[piece].transpose(-1, -2), translation[piece].unsqueeze(-2)
            skin = mesh.vertices(pose, root, shapes[piece]) @ turn + shift
            results.append(_behind(where @ turn + shift, skin, faces, allowance))
        return torch.cat(results).unflatten(0, (batch, frames))

    def _on(self, device: torch.device, dtype: torch.dtype) -> tuple[Body, Tensor, Tensor]:
        """The coarse mesh as a body of its own, on the device; made at first use."""
        mesh = self._mesh
        if mesh is None or mesh.v_template.device != device or mesh.v_template.dtype != dtype:
            body, chosen = self._body, torch.from_numpy(self._chosen)

            def moved(values: Tensor) -> Tensor:
                return values.to(device, dtype)

            mesh = replace(
                body,
                v_template=moved(body.v_template[chosen]),
                shapedirs=moved(body.shapedirs[chosen]),
                posedirs=None if body.posedirs is None else moved(body.posedirs[chosen]),
                weights=moved(body.weights[chosen]),
                J_regressor=body.J_regressor[:, chosen],  # not used again: `bones` gives the joints
                sole_regressor=body.sole_regressor[:, chosen],
                bones=BoneShape(*(moved(getattr(body.bones, each.name)) for each in fields(BoneShape))),
            )
            self._mesh = mesh
            self._faces, self._allowance = self._faces.to(device), moved(self._allowance)
        return mesh, self._faces, self._allowance

    def __getstate__(self) -> dict[str, object]:
        """Without the copy for a device: a worker makes its own."""
        return {**self.__dict__, "_mesh": None}


def _behind(
    points: Float[Tensor, "frames points 3"],
    skin: Float[Tensor, "frames vertices 3"],
    faces: Int64[Tensor, "3 faces"],
    allowance: Float[Tensor, "points faces"],
) -> Bool[Tensor, "frames points"]:
    """Whether the nearest face on the line from the camera to each point lies before it by more than the allowance.

    In the camera's axes, with (u, v) = (x, y) / z: the triangle's three edge functions and its inverse depth are
    linear in (u, v, 1), so that one matrix product gives them for all points. Faces are the innermost axis throughout.
    """
    depth = skin[..., 2]
    inverse = 1 / depth.clamp(min=_NEAR)
    u, v, near = skin[..., 0] * inverse, skin[..., 1] * inverse, (depth < _NEAR).to(skin)
    u0, u1, u2 = (u[:, corner] for corner in faces)  # each (frames, faces)
    v0, v1, v2 = (v[:, corner] for corner in faces)
    # The edge function of the corners 1, 2 is 1 at the corner 0 once it is divided by twice the area.
    a = torch.stack([v1 - v2, v2 - v0, v0 - v1], 1)
    b = torch.stack([u2 - u1, u0 - u2, u1 - u0], 1)
    c = torch.stack([u1 * v2 - u2 * v1, u2 * v0 - u0 * v2, u0 * v1 - u1 * v0], 1)
    area = c.sum(1, keepdim=True)
    # A face that is seen edge on, or reaches behind the camera, contains no point: its functions are below 0.
    reaches_behind = torch.stack([near[:, corner] for corner in faces]).sum(0) > 0
    broken = (area.abs() < 1e-12) | reaches_behind.unsqueeze(1)
    share = torch.where(broken, 0.0, 1 / area)
    corner_inverse = torch.stack([inverse[:, corner] for corner in faces], 1)
    edges = torch.stack([a, b, c], 1) * share.unsqueeze(1)  # (frames, 3, corners, faces)
    edges[:, 2] -= broken.to(skin)
    planes = torch.cat([edges, (edges * corner_inverse.unsqueeze(1)).sum(2, keepdim=True)], 2)
    ahead = points[..., 2:].clamp(min=_NEAR)
    seen = torch.cat([points[..., :2] / ahead, torch.ones_like(ahead)], -1)
    values = (seen @ planes.flatten(2)).unflatten(2, (4, faces.shape[1]))  # (frames, points, 4, faces)
    inside = torch.minimum(torch.minimum(values[:, :, 0], values[:, :, 1]), values[:, :, 2]) >= 0
    nearest, face = (values[:, :, 3] * inside).max(-1)  # the largest inverse depth
    room = allowance[torch.arange(points.shape[1], device=points.device), face]
    return (nearest > 0) & (1 / nearest.clamp(min=1e-6) < points[..., 2] - room)


def _coarse_mesh(body: Body, detail: float) -> tuple[Int64[ndarray, "kept"], Int64[ndarray, "faces 3"]]:
    """Vertices that stand for their neighbours in one body part and one cube of space, and the faces that remain."""
    faces = body.faces.numpy().astype(np.int64)
    if detail <= 0:
        return np.arange(body.num_vertices), faces
    rest, part = body.v_template.double().numpy(), body.part.numpy()
    cube = np.floor(rest / detail).astype(np.int64)
    _, cluster = np.unique(np.column_stack([part, cube]), axis=0, return_inverse=True)
    cluster = cluster.reshape(-1)
    count = np.bincount(cluster)
    middle = np.column_stack([np.bincount(cluster, rest[:, axis]) / count for axis in range(3)])
    # Of each cluster the vertex nearest to its middle.
    distance = np.linalg.norm(rest - middle[cluster], axis=1)
    order = np.lexsort((distance, cluster))
    chosen = order[np.r_[True, np.diff(cluster[order]) > 0]]
    merged = cluster[faces]
    whole = (merged[:, 0] != merged[:, 1]) & (merged[:, 1] != merged[:, 2]) & (merged[:, 2] != merged[:, 0])
    merged = merged[whole]
    _, first = np.unique(np.sort(merged, axis=1), axis=0, return_index=True)
    return chosen, np.ascontiguousarray(merged[np.sort(first)])
