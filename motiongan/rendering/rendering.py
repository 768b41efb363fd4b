"""The job of `motiongan render`: a motion file to frames, masks, annotations and videos, scene by scene.

A scene is one clip of the file, perhaps with partners, seen by some cameras. Everything about it is drawn from the
run's seed and the clip's number: which process renders it, and in which order, changes nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from motiongan.body.smpl import load_body
from motiongan.errors import MotionganError
from motiongan.motion.clip import Clip
from motiongan.motion.resample import resample
from motiongan.motion.store import MotionFile
from motiongan.rendering.appearance import Landmarks, Look, draw_looks
from motiongan.rendering.bedlam import RecordWriter, is_complete
from motiongan.rendering.crowd import Performer, place_people
from motiongan.rendering.frames import FrameWriter, PersonTrack, RenderedClip, stem
from motiongan.rendering.images import FOLDERS, ImageWriter
from motiongan.rendering.keypoints import body_keypoints
from motiongan.rendering.meshes import write_meshes
from motiongan.rendering.rasterizer import Quality, Rasterizer, Sensor
from motiongan.rendering.scenes import Scene, draw_scene
from motiongan.rendering.sensor import CLEAN, Capture, draw_capture, exposure_moments, through_jpeg
from motiongan.rendering.textures import check_textures, load_texture
from motiongan.rendering.video import VideoWriter
from motiongan.rendering.viewpoint import Viewpoint, draw_viewpoint

FORMATS = ("frames", "video", "both", "meshes")
# Pixels (samples of them) rendered in one go: what a piece holds in memory, about 0.3 GB.
_PIXELS_AT_ONCE = {"cpu": 4 * 512 * 512, "cuda": 64 * 512 * 512}
_MOST_FRAMES_AT_ONCE = 32
# Streams of random numbers below a scene's seed.
_CAST, _SETTING, _CAMERA, _NOISE, _PICTURE, _TEXTURE = range(6)


@dataclass(frozen=True)
class RenderOptions:
    """What decides the pictures of a run.

    size       pixels of the square picture's sides
    views      cameras around each scene
    frames     "all", "every:N" or "count:N" (spread evenly over the clip)
    frame_rate Hz to which the motion is resampled first; None = as it is
    scene      one of `scenes.PROCEDURAL`, "mixed" for all of them in turn, or a folder of pictures
    people     in each scene
    form       one of FORMATS
    texture    picture of the body's surface, or a folder of them, worn in place of painted clothes
    clean      True: no motion blur, noise or JPEG
    """

    size: int = 512
    views: int = 1
    frames: str = "all"
    frame_rate: float | None = None
    scene: str = "mixed"
    people: int = 1
    form: str = "frames"
    seed: int = 0
    texture: str | None = None
    clean: bool = False
    samples: int = 2
    shadows: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For the manifest, without the seed, which has its own place there."""
        return {name: value for name, value in asdict(self).items() if name != "seed"}


def choose_frames(choice: str, num_frames: int) -> list[int]:
    """Numbers of the frames for "all", "every:N" or "count:N"; count spreads N frames evenly, the ends included."""
    kind, _, text = choice.partition(":")
    if kind == "all" and not text:
        return list(range(num_frames))
    if kind in ("every", "count") and text.isdecimal() and int(text) > 0:
        number = int(text)
        if kind == "every":
            return list(range(0, num_frames, number))
        if number == 1:
            return [num_frames // 2]
        return sorted({round(place) for place in np.linspace(0, num_frames - 1, min(number, num_frames)).tolist()})
    raise MotionganError(f"--frames {choice}: expected all, every:N or count:N")


def scene_name(index: int, action: str | None) -> str:
    """Name of the scene of a clip, fit for a file: "00003_run"."""
    safe = "".join(letter if letter.isalnum() else "_" for letter in action or "unlabelled")
    return f"{index:05d}_{safe}"


class SceneRenderer:
    """Renders the scenes of one motion file; one of these works in every process.

    pictures  of the folder of backgrounds, as `check_scene` gives them
    """

    def __init__(
        self,
        motion: str | Path,
        folder: str | Path,
        body_path: str | Path | None,
        options: RenderOptions,
        *,
        device: str = "cpu",
        pictures: Sequence[Path] = (),
    ) -> None:
        self.motion, self.folder, self.options = Path(motion), Path(folder), options
        self.pictures = list(pictures)
        self.body = load_body(body_path)
        self._device = device
        self._is_drawn = options.form != "meshes"
        if self._is_drawn:
            self._rasterizer = Rasterizer.of_body(self.body, device=device)
            self._marks = Landmarks.of(self.body)
            self._keypoints = body_keypoints(self.body)
            self._textures = check_textures(options.texture, self.body) if options.texture else []

    def render_scene(self, file: MotionFile, index: int) -> Iterator[int]:
        """Render the scene of clip `index`, all its views; yields the number of frames written so far, piece by piece.

        Files of a view are complete when its record appears; an interruption leaves no half-written file.
        """
        people = place_people(*self._cast(file, index), self.body, random=self._random(index, _CAST, 1))
        clip = people[0].motion
        name = scene_name(index, clip.action)
        frames = choose_frames(self.options.frames, clip.num_frames)
        if not self._is_drawn:
            write_meshes(self.folder, name, self._tracks(people, frames), self.body, frames, clip.frame_rate)
            yield len(frames)
            return
        setting = self._random(index, _SETTING)
        looks = draw_looks([person.motion.gender for person in people], random=setting)
        size = self.options.size
        scene = draw_scene(self._scene_kind(index), [], size, size, random=setting) if not self.pictures else None
        turn = setting.uniform(-np.pi, np.pi)
        written = 0
        for view in range(self.options.views):
            if is_complete(self.folder, stem(name, view)):
                written += len(frames)
                yield written
                continue
            # Views spread around the people, none quite where the circle's division would put it.
            random = self._random(index, _CAMERA, view)
            azimuth = turn + 2 * np.pi * (view + random.uniform(-0.3, 0.3)) / self.options.views
            view_scene = scene or draw_scene("", self.pictures, size, size, random=self._random(index, _PICTURE, view))
            shot = _Shot(self, index, view, name, people, looks, view_scene, float(azimuth), random)
            for count in shot.render(frames):
                written += count
                yield written

    def _cast(self, file: MotionFile, index: int) -> tuple[tuple[int, Clip], list[tuple[int, Clip]]]:
        """The clip of the scene and its partners, drawn from the other clips, at the wanted frame rate."""
        random = self._random(index, _CAST)
        usable = np.flatnonzero(file.lengths > 1)
        others = usable[usable != index]
        count = self.options.people - 1
        chosen = random.choice(others, count, replace=len(others) < count).tolist() if count and len(others) else []
        return (index, self._clip(file, index)), [(number, self._clip(file, number)) for number in chosen]

    def _clip(self, file: MotionFile, index: int) -> Clip:
        clip = file[index]
        if not clip.is_finite:
            raise MotionganError(f"{self.motion}: clip {index} holds NaN or infinity; leave it out (--clips)")
        if file.body_model != self.body.name:
            clip = replace(clip, betas=np.zeros_like(clip.betas))
        rate = self.options.frame_rate
        return clip if rate is None else resample(clip, rate)

    def _scene_kind(self, index: int) -> str:
        if self.options.scene != "mixed":
            return self.options.scene
        kinds, shares = ("studio", "plain", "track", "pitch", "hall"), (0.25, 0.1, 0.25, 0.2, 0.2)
        return str(self._random(index, _SETTING, 1).choice(kinds, p=shares))

    def _worn(self, index: int, people: int) -> list[Path]:
        """The texture of each person, drawn from the user's; none where there are none."""
        random = self._random(index, _TEXTURE)
        return [self._textures[int(random.integers(len(self._textures)))] for _ in range(people) if self._textures]

    def _random(self, index: int, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.options.seed, index, *stream])

    def _vertices(self, clip: Clip, frames: Sequence[int]) -> np.ndarray:
        """(frames, vertices, 3) world vertices, metres."""
        chosen = np.asarray(frames)
        betas = torch.from_numpy(clip.betas[: self.body.num_betas]).expand(len(chosen), -1)
        poses, trans = torch.from_numpy(clip.poses[chosen]), torch.from_numpy(clip.trans[chosen])
        with torch.inference_mode():
            return self.body.vertices(poses, trans, betas).numpy()

    def _tracks(self, people: Sequence[Performer], frames: Sequence[int]) -> tuple[PersonTrack, ...]:
        chosen = np.asarray(frames)
        return tuple(
            PersonTrack(
                poses=person.motion.poses[chosen],
                trans=person.motion.trans[chosen],
                betas=person.motion.betas,
                joints=person.joints[chosen],
                vertices=self._vertices(person.motion, frames),
                action=person.motion.action,
                clip=person.clip,
                seed=person.motion.seed,
                gender=person.motion.gender,
                subject=person.motion.subject,
            )
            for person in people
        )


class _Shot:
    """One view of one scene."""

    def __init__(
        self,
        renderer: SceneRenderer,
        index: int,
        view: int,
        name: str,
        people: Sequence[Performer],
        looks: Sequence[Look],
        scene: Scene,
        azimuth: float,
        random: np.random.Generator,
    ) -> None:
        options = renderer.options
        self._renderer, self._name, self._view = renderer, name, view
        self._people, self._scene = people, scene
        self._clip = people[0].motion
        joints = np.stack([person.joints for person in people], 1)
        self._viewpoint: Viewpoint = draw_viewpoint(
            joints,
            self._clip.frame_rate,
            options.size,
            options.size,
            random=random,
            still=scene.picture is not None,
            azimuth=azimuth,
        )
        self._capture: Capture = CLEAN if options.clean else draw_capture(self._clip.frame_rate, random=random)
        self._moments = exposure_moments(self._capture, self._fastest(joints))
        self._noise_seeds = renderer._random(index, _NOISE, view).integers(1 << 30, size=self._clip.num_frames)
        worn = renderer._worn(index, len(people))
        self._stage = renderer._rasterizer.stage(scene, looks, renderer._marks, [load_texture(path) for path in worn])
        self._quality = Quality(samples=options.samples, shadows=options.shadows)
        self._draws: dict[str, Any] = {
            "scene": scene.as_dict(),
            "lighting": scene.lighting.as_dict(),
            "camera": self._viewpoint.as_dict(),
            "capture": self._capture.as_dict(),
            "people": [
                {
                    "look": look.as_dict() if not worn else {"texture": worn[number].name},
                    "first_frame": person.start,
                    "turn": round(person.turn, 5),
                    "shift": [round(value, 5) for value in person.shift],
                }
                for number, (person, look) in enumerate(zip(people, looks))
            ],
        }

    def render(self, frames: Sequence[int]) -> Iterator[int]:
        """Render these frames and write them; yields the number of frames of each piece."""
        options, renderer = self._renderer.options, self._renderer
        writers: list[FrameWriter] = []
        shown = len(frames) / max(self._clip.num_frames, 1) * self._clip.frame_rate
        with ExitStack() as stack:
            if options.form in ("frames", "both"):
                writers.append(ImageWriter(renderer.folder, tuple(FOLDERS)))
            if options.form in ("video", "both"):
                video = VideoWriter(renderer.folder, stem(self._name, self._view), max(shown, 1.0))
                stack.callback(video.discard)
                writers.append(video)
            # The record comes last: where it is, the view is complete.
            record = RecordWriter(renderer.folder, renderer._keypoints, renderer.body)
            stack.callback(record.discard)
            writers.append(record)
            length = self._frames_at_once()
            for start in range(0, len(frames), length):
                piece = self._piece(frames[start : start + length])
                for writer in writers:
                    writer.write(piece)
                yield len(piece.frame_numbers)
            for writer in writers:
                writer.close()

    def _piece(self, frames: Sequence[int]) -> RenderedClip:
        renderer, capture = self._renderer, self._capture
        tracks = renderer._tracks(self._people, frames)
        vertices = np.stack([track.vertices for track in tracks], 1)
        velocities = self._velocities(frames) if len(self._moments) > 1 else None
        moments = []
        for time in self._moments:
            points = vertices if velocities is None else vertices + np.float32(time) * velocities
            moments.append((points, self._viewpoint.camera(np.asarray(frames) + time), 1 / len(self._moments)))
        buffers = renderer._rasterizer.render(
            self._stage,
            moments,
            quality=self._quality,
            sensor=Sensor(capture.exposure, capture.shot, capture.read),
            noise_seeds=self._noise_seeds[list(frames)].tolist(),
        )
        if capture.jpeg_quality is not None:
            buffers = replace(buffers, colour=through_jpeg(buffers.colour, capture.jpeg_quality))
        return RenderedClip(
            camera=moments[len(moments) // 2][1],
            buffers=buffers,
            people=tracks,
            frame_numbers=list(frames),
            frame_rate=self._clip.frame_rate,
            name=self._name,
            view=self._view,
            background=self._scene.description,
            draws=self._draws,
            in_video=renderer.options.form == "video",
        )

    def _velocities(self, frames: Sequence[int]) -> np.ndarray:
        """(frames, people, vertices, 3) metres per frame, from the frames before and after."""
        last = self._clip.num_frames - 1
        before = [max(frame - 1, 0) for frame in frames]
        after = [min(frame + 1, last) for frame in frames]
        steps = np.maximum(np.array(after) - np.array(before), 1).astype(np.float32)[:, None, None]
        vertices = self._renderer._vertices
        each = [(vertices(p.motion, after) - vertices(p.motion, before)) / steps for p in self._people]
        return np.stack(each, 1)

    def _fastest(self, joints: np.ndarray) -> float:
        """Pixels that the fastest joint moves between two frames, the camera's own movement included."""
        if len(joints) < 2:
            return 0.0
        camera = self._viewpoint.camera(np.arange(len(joints)))
        pixels, depth = camera.project(torch.from_numpy(joints.reshape(len(joints), -1, 3)))
        steps = pixels.diff(dim=0).norm(dim=-1)
        return float(torch.where(depth[1:] > 0, steps, torch.zeros_like(steps)).quantile(0.999))

    def _frames_at_once(self) -> int:
        kind = "cuda" if self._renderer._device.startswith("cuda") else "cpu"
        pixels = self._renderer.options.size**2
        return max(1, min(_MOST_FRAMES_AT_ONCE, _PIXELS_AT_ONCE[kind] // pixels))
