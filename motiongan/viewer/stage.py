"""The scene of the page: the ground, and on it one or two people."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from motiongan.viewer import palette
from motiongan.viewer.overlays import lane_lines, smoothed_path, turned
from motiongan.viewer.person import Marks, Person
from motiongan.viewer.posed_clip import PosedClip

if TYPE_CHECKING:
    import viser

    from motiongan.body.smpl import Body

_GROUND_SIZE = 400.0  # metres
_LANE = 1.1  # metres from the middle to each of two people
_BELT_WIDTH, _BELT_LENGTH = 2.1, 9.0  # metres of ground that moves under each of two people


class Stage:
    """The ground and the people on it, side by side."""

    def __init__(self, server: "viser.ViserServer", body: "Body", num_people: int) -> None:
        self._server = server
        scene = server.scene
        # Lights alone: viser's environment map takes ten seconds to prepare without a graphics card.
        scene.configure_environment_map(None)
        scene.configure_default_lights(cast_shadow=True)
        scene.add_light_hemisphere("/sky", sky_color=palette.SKY, ground_color=palette.REFLECTED, intensity=2.6)
        self._ground = scene.add_grid(
            "/ground",
            width=_GROUND_SIZE,
            height=_GROUND_SIZE,
            cell_size=0.5,
            cell_color=palette.GRID,
            section_size=1.0,
            section_color=palette.METRE,
            fade_distance=22.0,
            shadow_opacity=0.25,
            plane_color=palette.GROUND,
            plane_opacity=1.0,
        )
        self.people = [Person(server, f"person{i}", body, palette.BODIES[i]) for i in range(num_people)]
        self._lanes = [0.0] if num_people == 1 else [_LANE, -_LANE]
        none = np.zeros((1, 2, 3), dtype=np.float32)
        self._belts = [
            scene.add_line_segments(f"/belt{i}", none, palette.METRE, thickness=0.008, visible=False)
            for i in range(num_people)
        ]
        # What the camera follows: each clip's pelvis over the ground, without its sway, from where it starts.
        self._ways: list[Float[ndarray, "frames 2"]] = [np.zeros((1, 2)) for _ in range(num_people)]
        self._headings = [0.0] * num_people
        camera = server.initial_camera
        camera.position = (3.1, -2.4, 1.6) if num_people == 1 else (5.6, -2.2, 2.0)
        camera.look_at = (0.0, 0.0, 0.85)
        camera.fov = float(np.deg2rad(38.0))

    def load(self, index: int, posed: PosedClip, label: str = "") -> None:
        """Put a clip on one of the people: it starts in his lane and faces +X. A label stands above the head."""
        pelvis = posed.joints[:, 0, :2].astype(np.float64)
        self.people[index].load(posed, self._lanes[index], label)
        self._ways[index] = smoothed_path(pelvis - pelvis[0], posed.frame_rate)
        self._headings[index] = posed.heading

    def show(self, frames: list[int], marks: Marks) -> None:
        """Draw each person's frame; the browser changes all at once.

        Followed, people stay where they are and the ground moves. Two of them move at their own speeds: each has
        a strip of ground of his own then, so that a foot that stands is seen to stand.
        """
        moved = [-way[frame] if marks.follow else np.zeros(2) for way, frame in zip(self._ways, frames, strict=True)]
        ground = [turned(offset[None], -heading)[0] for offset, heading in zip(moved, self._headings, strict=True)]
        belts = marks.follow and len(self.people) > 1
        with self._server.atomic():
            for person, frame, offset in zip(self.people, frames, moved, strict=True):
                person.show(frame, marks, offset)
            if not belts:
                self._ground.position = (*ground[0], 0.0)
            self._ground.cell_thickness = self._ground.section_thickness = 0.0 if belts else 1.0
            for belt, lane, offset in zip(self._belts, self._lanes, ground, strict=True):
                belt.visible = belts
                if belts:
                    belt.points = lane_lines(offset, lane, width=_BELT_WIDTH, length=_BELT_LENGTH)
