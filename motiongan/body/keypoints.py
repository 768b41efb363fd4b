"""Landmarks of the skin that joints do not give: face, toes, heels, finger tips."""

from collections.abc import Mapping

# Vertex numbers of landmarks on the meshes of the licensed models; the left and the right one of each pair.
# Sources: the `smplx` package 0.1.28 (vertex_ids.py), which follows MS COCO and OpenPose; the head's top from the
# landmarks of SMPL-Anthropometry (github.com/DavidBoja/SMPL-Anthropometry, landmark_definitions.py).
_SMPL: dict[str, int | tuple[int, int]] = {
    "nose": 332, "head_top": 412, "eye": (2800, 6260), "ear": (583, 4071),
    "heel": (3387, 6787), "big_toe": (3216, 6617), "small_toe": (3226, 6624),
    "thumb_tip": (2746, 6191), "index_tip": (2319, 5782), "middle_tip": (2445, 5905), "ring_tip": (2556, 6016),
    "pinky_tip": (2673, 6133),
}  # fmt: skip
_SMPLX: dict[str, int | tuple[int, int]] = {
    "nose": 9120, "head_top": 8976, "eye": (9448, 9929), "ear": (6, 616),
    "heel": (8846, 8635), "big_toe": (5770, 8463), "small_toe": (5780, 8474),
    "thumb_tip": (5361, 8079), "index_tip": (4933, 7669), "middle_tip": (5058, 7794), "ring_tip": (5169, 7905),
    "pinky_tip": (5286, 8022),
}  # fmt: skip


def _by_name(pairs: Mapping[str, int | tuple[int, int]]) -> dict[str, int]:
    by_name = {}
    for name, vertex in pairs.items():
        if isinstance(vertex, tuple):
            by_name[f"left_{name}"], by_name[f"right_{name}"] = vertex
        else:
            by_name[name] = vertex
    return by_name


KEYPOINT_NAMES: tuple[str, ...] = tuple(_by_name(_SMPL))  # in this order in every body that has them

# By the number of vertices: SMPL and SMPL-H share one mesh of 6890, SMPL-X has 10,475.
_PUBLISHED = {6890: _by_name(_SMPL), 10475: _by_name(_SMPLX)}


def published_keypoints(num_vertices: int) -> dict[str, int]:
    """Vertex of every landmark on SMPL's, SMPL-H's or SMPL-X's mesh; empty for any other."""
    return dict(_PUBLISHED.get(num_vertices, {}))
