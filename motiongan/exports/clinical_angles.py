"""Joint angles as clinics name them, in degrees, from the clip's rotations.

Every name says which way is positive: hip_flexion_r grows as the right thigh goes forward. Left and right are mirror
images: the same movement of either leg gives the same numbers. All angles are 0 in the body's rest pose (standing, feet
level; SMPL's rest knees are bent by some 5 degrees, which are not counted), the arms hanging with palms to the thighs.

Axes are those of the International Society of Biomechanics, X forward, Y up, Z to the right. Order of the turns:
- legs, trunk and neck: flexion about Z, then X, then Y of the moving part (G. Wu et al. 2002, "ISB recommendation on
  definitions of joint coordinate systems, part I", J. Biomechanics 35: hip, knee after Grood and Suntay 1983, ankle)
- shoulder: humerus against thorax, Y X Y: plane of elevation (0 abduction, 90 forward), elevation, axial rotation
  (G. Wu et al. 2005, part II, J. Biomechanics 38)
- pelvis against the room: rotation, obliquity, tilt, Y X Z, which keeps tilt and obliquity apart whatever way the
  person faces (R. Baker 2001, "Pelvic angles", Gait and Posture 13)
Deviation: the axes are those of SMPL's joints at rest, not of palpated bone landmarks.
"""

import numpy as np
import roma
import torch
from jaxtyping import Float64
from numpy import ndarray

from motiongan.body.skeleton import JOINT
from motiongan.exports.euler import elevation_angles, yxz_angles, zxy_angles
from motiongan.motion.clip import Clip

# SMPL's rest axes (x left, y up, z forward) -> ISB's (x forward, y up, z right).
_REST_TO_ISB: Float64[ndarray, "3 3"] = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
# House world (z up; a person at rest, stood up, faces -y with the left side at +x) -> a room with Y up, in which that
# person faces +X: OpenSim's convention.
TO_ROOM: Float64[ndarray, "3 3"] = np.array([[0.0, -1, 0], [0, 0, 1], [-1, 0, 0]])
_MIRROR: Float64[ndarray, "3 3"] = np.diag([1.0, 1.0, -1.0])
# The right arm's turn from hanging to the T-pose, by -90 degrees about X.
_RAISED: Float64[ndarray, "3 3"] = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
SIDES = {"right": "r", "left": "l"}

# What the three angles of zxy_angles (z, x, y) are called, and their signs; for the right side.
_MIDDLE = {
    "trunk": (("flexion", -1), ("right_bending", 1), ("left_rotation", 1)),
    "neck": (("flexion", -1), ("right_bending", 1), ("left_rotation", 1)),
}
_LEG = {
    "hip": (("flexion", 1), ("adduction", 1), ("internal_rotation", 1)),
    "knee": (("flexion", -1), ("adduction", 1), ("internal_rotation", 1)),
    "ankle": (("dorsiflexion", 1), ("inversion", 1), ("internal_rotation", 1)),
}


def clinical_angles(clip: Clip) -> dict[str, Float64[ndarray, "frames"]]:
    """Every angle by name, degrees, frame by frame; the order of the columns of a .csv export."""
    joints = JointRotations(clip)
    rotation, obliquity, tilt = np.degrees(yxz_angles(joints.pelvis())).T
    angles = {"pelvis_anterior_tilt": -tilt, "pelvis_right_up": -obliquity, "pelvis_left_rotation": rotation}
    turns = joints.turns()
    for part, names in _MIDDLE.items():
        angles |= {f"{part}_{name}": sign * turn for (name, sign), turn in zip(names, turns[part])}
    for side, letter in SIDES.items():
        for part, names in _LEG.items():
            own = turns[f"{side}_{part}"]
            angles |= {f"{part}_{name}_{letter}": sign * turn for (name, sign), turn in zip(names, own)}
        angles[f"toe_extension_{letter}"] = turns[f"{side}_foot"][0]
        plane, elevation, turn = np.degrees(elevation_angles(joints.shoulder(side))).T
        angles |= {
            f"shoulder_elevation_plane_{letter}": plane,
            f"shoulder_elevation_{letter}": elevation,
            f"shoulder_internal_rotation_{letter}": turn,
        }
        flexion, _, pronation = turns[f"{side}_elbow"]
        angles |= {f"elbow_flexion_{letter}": flexion, f"forearm_pronation_{letter}": pronation}
        # The palm looks inward in a hanging arm: the wrist flexes about X and deviates about Z.
        deviation, flexion, _ = turns[f"{side}_wrist"]
        angles |= {f"wrist_flexion_{letter}": flexion, f"wrist_radial_deviation_{letter}": deviation}
    return angles


class JointRotations:
    """Rotations (frames, 3, 3) of parts against their parents in ISB's axes; left ones mirrored to the right."""

    def __init__(self, clip: Clip) -> None:
        local = roma.rotvec_to_rotmat(torch.from_numpy(clip.poses).double()).numpy()
        self._root = local[:, 0]
        self._local = _REST_TO_ISB @ local @ _REST_TO_ISB.T

    def pelvis(self) -> Float64[ndarray, "frames 3 3"]:
        """The pelvis in the room: X forward for a person who faces -y in the house's world, Y up."""
        return np.asarray(TO_ROOM @ self._root @ _REST_TO_ISB.T)

    def turns(self) -> dict[str, Float64[ndarray, "3 frames"]]:
        """Degrees about Z, X, Y of pelvis, trunk, neck, "left_hip" and so on, all at once; shoulders from hanging."""
        parts = {"pelvis": self.pelvis(), "trunk": self.trunk(), "neck": self.neck()}
        for side in SIDES:
            parts |= {f"{side}_{joint}": self.of(side, joint) for joint in ("hip", "knee", "ankle", "foot")}
            parts |= {f"{side}_{joint}": self.arm(side, joint) for joint in ("elbow", "wrist")}
            parts[f"{side}_shoulder"] = self.shoulder(side)
        angles = np.degrees(zxy_angles(np.stack(list(parts.values()), axis=1)))
        return dict(zip(parts, np.moveaxis(angles, 0, -1)))

    def trunk(self) -> Float64[ndarray, "frames 3 3"]:
        """The thorax against the pelvis: all three joints of the spine."""
        return self._chain("spine1", "spine2", "spine3")

    def neck(self) -> Float64[ndarray, "frames 3 3"]:
        """The head against the thorax."""
        return self._chain("neck", "head")

    def of(self, side: str, joint: str) -> Float64[ndarray, "frames 3 3"]:
        """A joint of a leg."""
        return self._to_right(side, self._chain(f"{side}_{joint}"))

    def shoulder(self, side: str) -> Float64[ndarray, "frames 3 3"]:
        """The humerus against the thorax; no turn is a hanging arm."""
        return np.asarray(self._to_right(side, self._chain(f"{side}_collar", f"{side}_shoulder")) @ _RAISED)

    def arm(self, side: str, joint: str) -> Float64[ndarray, "frames 3 3"]:
        """Elbow or wrist, in the axes of the hanging arm."""
        return np.asarray(_RAISED.T @ self._to_right(side, self._chain(f"{side}_{joint}")) @ _RAISED)

    def _chain(self, *joints: str) -> Float64[ndarray, "frames 3 3"]:
        whole = self._local[:, JOINT[joints[0]]]
        for joint in joints[1:]:
            whole = whole @ self._local[:, JOINT[joint]]
        return np.asarray(whole)

    def _to_right(self, side: str, rotations: Float64[ndarray, "frames 3 3"]) -> Float64[ndarray, "frames 3 3"]:
        return np.asarray(_MIRROR @ rotations @ _MIRROR) if side == "left" else rotations
