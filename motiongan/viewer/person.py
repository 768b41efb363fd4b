"""One person of the scene: skinned body, skeleton, and the marks drawn over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from motiongan.body.skeleton import JOINT, NUM_JOINTS
from motiongan.evaluation.metrics import RANGE_TOLERANCE
from motiongan.viewer import palette
from motiongan.viewer.overlays import polyline, turned
from motiongan.viewer.posed_clip import PosedClip
from motiongan.viewer.skeleton_mesh import SIDES, skeleton_mesh

if TYPE_CHECKING:
    import viser

    from motiongan.body.smpl import Body

FIGURES = ("body", "skeleton", "both")

_SIDE_COLOURS = {"left": palette.LEFT, "right": palette.RIGHT, "trunk": palette.TRUNK}
_RANGE_RADIUS = 0.085  # metres: wider than a limb, so that it is seen around it
_CONTACT_RADIUS = (0.055, 0.055, 0.065, 0.065)  # heels, balls of the feet
_MASS_RADIUS = 0.045
_LABEL_HEIGHT = 0.35  # metres above the head joint
# Through the centre of mass: two arms, long enough to come out of the trunk.
_CROSS = np.array([[[-0.3, 0, 0], [0.3, 0, 0]], [[0, -0.3, 0], [0, 0.3, 0]]], dtype=np.float32)
_NO_TURN = np.array([1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class Marks:
    """What is drawn: a body, a skeleton or both, and the overlays.

    follow   move the ground instead of the people, so that they stay in the picture
    """

    figure: str = "body"
    contacts: bool = True
    mass_centre: bool = True
    joint_range: bool = True
    follow: bool = True


class Person:
    """One person on the stage. All nodes hang below one that turns and moves the clip's axes to its place.

    The browser takes up changes of a node's place sooner than those of its shape: whatever moves from frame to frame
    moves as a node or as a bone, so that body and marks stay together on a slow machine, too.
    """

    def __init__(self, server: "viser.ViserServer", name: str, body: "Body", colour: palette.Colour) -> None:
        self._scene = scene = server.scene
        self._name = name = f"/{name}"
        self._body = body
        self._colour = colour
        self._posed: PosedClip | None = None
        self._betas: list[float] | None = None  # of the meshes that the browser has
        self._skin: viser.MeshSkinnedHandle | None = None
        self._skeleton: list[tuple[viser.MeshSkinnedHandle, ndarray]] = []
        self._root = scene.add_frame(name, show_axes=False, visible=False)
        self._contacts = [
            self._disc(f"contact{i}", radius, palette.CONTACT) for i, radius in enumerate(_CONTACT_RADIUS)
        ]
        self._range = [
            scene.add_icosphere(
                f"{name}/range{joint}",
                _RANGE_RADIUS,
                color=palette.RANGE,
                opacity=0.7,
                cast_shadow=False,
                visible=False,
            )
            for joint in range(NUM_JOINTS)
        ]
        self._mass = scene.add_frame(f"{name}/mass", show_axes=False, visible=False)
        scene.add_icosphere(f"{name}/mass/ball", _MASS_RADIUS, color=palette.MASS_CENTRE, cast_shadow=False)
        scene.add_line_segments(f"{name}/mass/cross", _CROSS, palette.MASS_CENTRE, thickness=0.01)
        self._below_mass = self._disc("below_mass", _MASS_RADIUS, palette.MASS_CENTRE)
        self._plumb = self._line("plumb", palette.MASS_CENTRE, 0.008)
        self._trail = scene.add_frame(f"{name}/trail", show_axes=False, visible=False)
        self._path = self._line("trail/path", palette.PATH, 0.008)
        self._parabolas = self._line("trail/parabolas", palette.FLIGHT, 0.022)
        self._label = scene.add_label(f"{name}/label", "", anchor="bottom-center", visible=False)

    def load(self, posed: PosedClip, lane: float, label: str) -> None:
        """Put a clip on: it starts at (0, lane) and faces +X.

        label   text above the head; empty: none
        """
        self._posed = posed
        start = turned(posed.joints[:1, 0, :2].astype(np.float64), -posed.heading)[0]
        self._root.position = (-start[0], lane - start[1], 0.0)
        self._root.wxyz = (np.cos(posed.heading / 2), 0.0, 0.0, -np.sin(posed.heading / 2))
        self._load_meshes(posed)
        self._path.points = polyline(posed.mass_centre).astype(np.float32)
        curves = [polyline(flight.path(posed.frame_rate)) for flight in posed.flights]
        self._parabolas.points = np.concatenate([np.zeros((0, 2, 3)), *curves]).astype(np.float32)
        self._path.visible, self._parabolas.visible = posed.num_frames > 1, bool(curves)
        self._label.text = label
        self._root.visible = True

    def show(self, frame: int, marks: Marks, moved: Float[ndarray, "2"]) -> None:
        """Draw this frame with these marks, everything moved so far over the ground (in the clip's own axes)."""
        posed = self._posed
        assert posed is not None, "no clip is loaded"
        assert self._skin is not None, "no clip is loaded"
        shift = np.array([*moved, 0.0])
        joints, wxyz = posed.joints[frame] + shift, posed.bone_wxyz[frame]

        self._skin.visible = marks.figure in ("body", "both")
        if self._skin.visible:
            self._skin.opacity = 0.4 if marks.figure == "both" else None
            _pose(self._skin, joints, wxyz)
        for mesh, used in self._skeleton:
            mesh.visible = marks.figure in ("skeleton", "both")
            if mesh.visible:
                _pose(mesh, joints[used], wxyz[used])

        beyond = marks.joint_range & (posed.violation[frame] > RANGE_TOLERANCE)
        _place(self._range, joints, beyond)
        soles = posed.soles[frame] + shift
        _place(self._contacts, _on_ground(soles), marks.contacts & posed.contacts[frame])
        mass = posed.mass_centre[frame : frame + 1] + shift
        shown = np.array([marks.mass_centre])
        _place([self._mass], mass, shown)
        _place([self._below_mass, self._plumb], _on_ground(mass)[[0, 0]], shown[[0, 0]])
        self._plumb.points = np.array([[[0.0, 0.0, 0.0], [0.0, 0.0, mass[0, 2]]]], dtype=np.float32)
        _place([self._trail], shift[None], shown)
        _place([self._label], joints[None, JOINT["head"]] + [0, 0, _LABEL_HEIGHT], np.array([bool(self._label.text)]))

    def _load_meshes(self, posed: PosedClip) -> None:
        """Send skin and skeleton anew where the shape is another one; else the browser keeps what it has.

        The browser skins, without the body's pose correctives: on real clips they move a vertex by 1.2 mm on average,
        and by a few centimetres in the folds of hips and shoulders that are bent far.
        """
        betas = posed.betas.tolist()
        if betas == self._betas:
            return
        for mesh in [self._skin, *(mesh for mesh, _ in self._skeleton)]:
            if mesh is not None:
                mesh.remove()
        body = self._body
        rest = body.v_template + body.shapedirs[..., : len(posed.betas)] @ posed.betas
        self._skin = self._scene.add_mesh_skinned(
            f"{self._name}/body",
            rest.numpy(),
            body.faces.numpy(),
            bone_wxyzs=np.tile(_NO_TURN, (NUM_JOINTS, 1)),
            bone_positions=posed.rest_joints,
            skin_weights=body.weights.numpy(),
            color=self._colour,
        )
        self._skeleton = []
        for side in SIDES:
            rigid = skeleton_mesh(posed.rest_joints, side)
            mesh = self._scene.add_mesh_skinned(
                f"{self._name}/{side}",
                rigid.vertices,
                rigid.faces,
                bone_wxyzs=np.tile(_NO_TURN, (len(rigid.joints), 1)),
                bone_positions=posed.rest_joints[rigid.joints],
                skin_weights=rigid.weights,
                color=_SIDE_COLOURS[side],
                visible=False,
            )
            self._skeleton.append((mesh, rigid.joints))
        self._betas = betas

    def _disc(self, name: str, radius: float, colour: palette.Colour) -> Any:
        return self._scene.add_cylinder(
            f"{self._name}/{name}", radius, 0.006, color=colour, cast_shadow=False, receive_shadow=False, visible=False
        )

    def _line(self, name: str, colour: palette.Colour, thickness: float) -> Any:
        nothing = np.zeros((1, 2, 3), dtype=np.float32)
        return self._scene.add_line_segments(f"{self._name}/{name}", nothing, colour, thickness=thickness)


def _pose(
    mesh: "viser.MeshSkinnedHandle", positions: Float[ndarray, "bones 3"], wxyz: Float[ndarray, "bones 4"]
) -> None:
    for bone, position, turn in zip(mesh.bones, positions, wxyz, strict=True):
        bone.position, bone.wxyz = position, turn


def _place(nodes: Sequence[Any], positions: Float[ndarray, "nodes 3"], visible: ndarray) -> None:
    """Bring the visible nodes to their positions and hide the others."""
    for node, position, seen in zip(nodes, positions, visible.tolist(), strict=True):
        if seen:
            node.position = position
        node.visible = seen


def _on_ground(points: Float[ndarray, "points 3"]) -> Float[ndarray, "points 3"]:
    """The points' places on the ground, a hair above it."""
    return np.concatenate([points[:, :2], np.full((len(points), 1), 0.003)], axis=1)
