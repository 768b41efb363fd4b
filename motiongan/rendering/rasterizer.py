"""Meshes to pictures: colour, depth, instance, body part and normals of every frame in one pass, by warp kernels.

The same kernels run on the CPU (one thread: start a process per core) and on CUDA. No window, no OpenGL.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray

from motiongan.body.smpl import Body
from motiongan.errors import MotionganError
from motiongan.rendering.appearance import Landmarks, Look, linear_to_srgb
from motiongan.rendering.camera import Camera
from motiongan.rendering.clothing import Tailor
from motiongan.rendering.scenes import Scene
from motiongan.rendering.stage import Stage
from motiongan.rendering.warp_runtime import check_device, load_warp

_NOISE_SIZE = 1 << 20  # numbers in the table of the sensor's noise
_BRIGHTEST = 3.2  # light beyond which all is white
_SHADOW_SIZES = (256, 512)  # texels along a side of a shadow map
_GROUND_PLACES = (48, 72)  # along a side of the map of how much sky the ground sees
_SHADOW_MARGIN = 0.05  # metres around the people in a shadow map
_MAX_FACES = 1 << 20
_SINK = -0.02  # metres below the ground at which it hides a body: soles may sink that much, as into grass


@dataclass(frozen=True, eq=False)
class Buffers:
    """The pictures of n frames.

    colour    sRGB
    depth     metres along the camera's z axis; inf where there is nothing
    instance  0 = background (ground included), k + 1 = person k
    part      0 = none, else the body part: 1 + number of the SMPL joint that moves it most
    normals   of the surface, unit length, camera axes; 0 where there is nothing
    Ground has a finite depth and instance 0; before a photograph there is no ground, only its shadow.
    """

    colour: UInt8[ndarray, "frames height width 3"]
    depth: Float32[ndarray, "frames height width"]
    instance: UInt8[ndarray, "frames height width"]
    part: UInt8[ndarray, "frames height width"]
    normals: Float32[ndarray, "frames height width 3"]

    def __len__(self) -> int:
        return len(self.colour)

    @staticmethod
    def empty(frames: int, height: int, width: int) -> "Buffers":
        """Pictures of nothing: black, infinitely far."""
        return Buffers(
            colour=np.zeros((frames, height, width, 3), np.uint8),
            depth=np.full((frames, height, width), np.inf, np.float32),
            instance=np.zeros((frames, height, width), np.uint8),
            part=np.zeros((frames, height, width), np.uint8),
            normals=np.zeros((frames, height, width, 3), np.float32),
        )


@dataclass(frozen=True)
class Quality:
    """What a picture costs.

    samples      along each side of a pixel: 2 = four samples a pixel
    shadows      False: no shadow maps
    shadow_size  texels along a side of a shadow map; 0 = as many as the picture has pixels, 256 to 512
    dressed      False: the bare body, without the thickness of clothes and hair
    """

    samples: int = 2
    shadows: bool = True
    shadow_size: int = 0
    dressed: bool = True


@dataclass(frozen=True)
class Sensor:
    """How light becomes numbers: exposure, and noise with variance read + shot x light (light 1 = white)."""

    exposure: float = 1.0
    shot: float = 0.0
    read: float = 0.0


class Rasterizer:
    """Draws people of one body model.

    faces    (faces, 3) counter-clockwise from outside
    rest     (vertices, 3) the mean body in its rest pose, by which it is painted
    weights  (vertices, parts) skinning weights, which tell the parts apart
    device   "cpu" or "cuda", "cuda:1"
    cull     leave out faces seen from behind, which a closed mesh hides anyway
    texture_coordinates, texture_faces   as of a Body, for people who wear textures
    """

    def __init__(
        self,
        faces: ndarray,
        rest: ndarray,
        weights: ndarray,
        *,
        device: str = "cpu",
        cull: bool = True,
        texture_coordinates: ndarray | None = None,
        texture_faces: ndarray | None = None,
    ) -> None:
        self._wp = load_warp()
        self.device = device
        check_device(device)
        from motiongan.rendering import (
            light_kernels,
            people_kernels,
            rasterizer_kernels,
            shadow_kernels,
            surroundings_kernels,
        )

        self._geometry, self._light, self._shadows = rasterizer_kernels, light_kernels, shadow_kernels
        self._surroundings, self._people = surroundings_kernels, people_kernels
        self._cull = int(cull)
        self._spaces: dict[str, Any] = {}
        self.num_vertices = len(rest)
        self.num_faces = len(faces)
        wp = self._wp
        faces = np.ascontiguousarray(faces, np.int32)
        # Faces around each vertex, in order.
        corners = np.argsort(faces.ravel(), kind="stable")
        first = np.concatenate([[0], np.bincount(faces.ravel(), minlength=len(rest)).cumsum()])
        self._faces = self.upload(faces, wp.vec3i)
        self.has_texture_places = texture_coordinates is not None and texture_faces is not None
        places = np.zeros((1, 2)) if texture_coordinates is None else texture_coordinates
        corners_of = np.zeros((1, 3)) if texture_faces is None else texture_faces
        self._texture_places = self.upload(np.ascontiguousarray(places, np.float32), wp.vec2)
        self._texture_faces = self.upload(np.ascontiguousarray(corners_of, np.int32), wp.vec3i)
        self._first_face = self.upload(first.astype(np.int32), wp.int32)
        self._faces_of = self.upload((corners // 3).astype(np.int32), wp.int32)
        self.rest = self.upload(np.ascontiguousarray(rest, np.float32), wp.vec3)
        self._weights = self.upload(np.ascontiguousarray(weights, np.float32), wp.float32)
        self._part = self.upload(weights.argmax(-1).astype(np.int32), wp.int32)
        self.tailor = Tailor(rest, faces)
        self._neighbour = self.upload(self.tailor.neighbour, wp.int32)
        # Near blockers shade only if they are near to the light's way too: most of the first taps look there. Spread
        # evenly, all of them miss a hand before a belly at some pixels, which are then lit dots in its shadow.
        blocker_taps = _taps(shadow_kernels.BLOCKER_TAPS)
        blocker_taps *= blocker_taps[:, 2:]
        taps = np.concatenate([blocker_taps, _taps(shadow_kernels.SHADOW_TAPS)])
        self._taps = self.upload(taps, wp.vec3)
        noise = np.random.default_rng(0).standard_normal(_NOISE_SIZE, np.float32)
        self._noise = self.upload(noise, wp.float32)
        steps = light_kernels.CURVE_STEPS
        light_of_step = (np.arange(int(_BRIGHTEST * steps)) + 0.5) / steps
        self._curve = self.upload(np.round(linear_to_srgb(shoulder(light_of_step)) * 255).astype(np.uint8), wp.uint8)

    @classmethod
    def of_body(cls, body: Body, *, device: str = "cpu") -> "Rasterizer":
        """The rasterizer of a body model, with its textures\' places where it has them."""
        places, corners = body.texture_coordinates, body.texture_faces
        return cls(
            body.faces.numpy(),
            body.v_template.numpy(),
            body.weights.numpy(),
            device=device,
            texture_coordinates=None if places is None else places.numpy(),
            texture_faces=None if corners is None else corners.numpy(),
        )

    def stage(self, scene: Scene, looks: Sequence[Look], marks: Landmarks, textures: Sequence[ndarray] = ()) -> Stage:
        """A scene and its people's looks, ready on the device.

        textures   one a person, (texels, texels, 3) of one size in linear light: worn in place of painted clothes
        """
        return Stage(self, scene, looks, marks, textures)

    def render(
        self,
        stage: Stage,
        moments: Sequence[tuple[Float32[ndarray, "frames people vertices 3"], Camera, float]],
        *,
        quality: Quality = Quality(),
        sensor: Sensor = Sensor(),
        noise_seeds: Sequence[int] = (),
    ) -> Buffers:
        """The pictures of some frames.

        moments      vertices (world, metres), cameras and weights of the moments of the exposure: one for a sharp
                     picture, several for motion blur; depth, masks and normals belong to the middle one
        noise_seeds  one number a frame, where the sensor is noisy
        """
        wp = self._wp
        frames, people = moments[0][0].shape[:2]
        camera = moments[0][1]
        height, width = camera.height, camera.width
        if people * self.num_faces > _MAX_FACES:
            raise MotionganError(f"{people} people have more than {_MAX_FACES} faces together; render fewer")
        shape = (frames, height, width)
        light = self._space("light", shape, wp.vec3)
        depth, normals = self._output("depth", shape, wp.float32), self._output("normals", shape, wp.vec3)
        # Empty, for only people are written into them.
        instance, part = self._empty_output("instance", shape, wp.uint8), self._empty_output("part", shape, wp.uint8)
        picture = self._output("picture", shape, wp.vec3ub)
        film = self._light.Film()
        film.exposure, film.shot, film.read = sensor.exposure, sensor.shot, sensor.read
        film.last_step = float(self._curve.size - 1)
        seeds = np.asarray(noise_seeds if len(noise_seeds) else [0] * frames, np.int64)
        noise_start = self.upload((seeds % _NOISE_SIZE).astype(np.int32), wp.int32)
        development = [film, self._noise, noise_start, self._curve, picture]
        for index, (vertices, moment_camera, weight) in enumerate(moments):
            targets = (light, depth, instance, part, normals)
            is_middle = index == len(moments) // 2
            # Motion smooths the edges of the other moments: one sample a pixel is enough for them.
            drawn = quality if is_middle else replace(quality, samples=1)
            which = self._surroundings.FIRST_MOMENT if index == 0 else self._surroundings.LATER_MOMENT
            if len(moments) == 1:
                which = self._surroundings.ONLY_MOMENT
            self._draw(stage, vertices, moment_camera, weight, drawn, targets, development, which, is_middle)
        if len(moments) > 1:
            strips = (frames, height, self._strips(width))
            self.launch(self._light.develop, strips, [light], development)
        return Buffers(
            colour=picture.numpy(),
            depth=depth.numpy(),
            instance=instance.numpy(),
            part=part.numpy(),
            normals=normals.numpy(),
        )

    def _draw(
        self,
        stage: Stage,
        vertices: ndarray,
        camera: Camera,
        weight: float,
        quality: Quality,
        targets: tuple[Any, ...],
        development: list[Any],
        which: int,
        record: bool,
    ) -> None:
        """Add one moment's light to the first target, and fill the others if they are to be recorded.

        The first moment begins the light, whatever the target held before; the only one is developed at once.
        """
        wp = self._wp
        frames, people = vertices.shape[:2]
        count = people * self.num_vertices
        points = self.upload(np.ascontiguousarray(vertices.reshape(frames, count, 3), np.float32), wp.vec3)
        normals = self._space("vertex normals", (frames, count), wp.vec3)
        self.launch(
            self._geometry.vertex_normals,
            (frames, people, self._strips(self.num_vertices)),
            [points, self._faces, self._first_face, self._faces_of, normals],
        )
        intrinsics = self.upload(_numbers(camera.intrinsics), wp.mat33)
        pixel_ways = self.upload(_numbers(torch.linalg.inv(camera.intrinsics)), wp.mat33)
        rotation = self.upload(_numbers(camera.rotation), wp.mat33)
        translation = self.upload(_numbers(camera.translation), wp.vec3)
        dressed = self._space("dressed", (frames, count), wp.vec3)
        viewed = self._space("viewed", (frames, count), wp.vec3)
        is_dressed = quality.dressed and not stage.has_texture  # a texture lies on the skin
        offsets = stage.offsets if is_dressed else stage.no_offsets
        shoes = [stage.shoe_row if is_dressed else stage.no_shoe_row, *stage.shoes]
        self.launch(
            self._geometry.dress_and_view,
            (frames, count),
            [points, normals, self._neighbour, offsets, *shoes, rotation, translation, dressed, viewed],
        )
        if is_dressed:
            self.launch(
                self._geometry.vertex_normals,
                (frames, people, self._strips(self.num_vertices)),
                [dressed, self._faces, self._first_face, self._faces_of, normals],
            )
        height, width = camera.height, camera.width
        sampled = (frames, height * quality.samples, width * quality.samples)
        zbuffer = self._clean_space(f"z {quality.samples}", sampled, wp.int64, self._geometry.EMPTY)
        touched = self._clean_space("touched", (frames, height, width), wp.uint8, 0)
        self.launch(
            self._geometry.rasterize,
            (frames, people, self._strips(self.num_faces)),
            [viewed, self._faces, self.num_vertices, intrinsics, pixel_ways, rotation, translation],
            [quality.samples, _SINK if stage.has_ground else -1.0e9, self._cull, zbuffer, touched],
        )
        shadow = self._shadow_maps(stage, vertices, dressed, camera, quality)
        places = int(np.clip(max(height, width) // 4, *_GROUND_PLACES)) if quality.shadows and stage.has_ground else 1
        ground_share = self._space("ground sky", (frames, places, places), wp.float32)
        if places > 1:
            grainy = self._space("grainy ground sky", ground_share.shape, wp.float32)
            self.launch(self._shadows.ground_sky, grainy.shape, shadow, [grainy])
            self.launch(self._shadows.smooth_ground_sky, grainy.shape, [grainy, ground_share])
        stage.lights.shadows = int(quality.shadows)
        light, depth, instance, part, out_normals = targets
        view = [pixel_ways, rotation, self.upload(_numbers(camera.position), wp.vec3), quality.samples]
        covered = self._space("covered", (depth.size,), wp.vec3i)
        num_covered = wp.zeros(1, dtype=wp.int32, device=self.device)
        self.launch(
            self._surroundings.shade_surroundings,
            (frames, height, self._strips(width)),
            [zbuffer, touched, *view],
            [stage.lights, stage.setting, stage.texels, stage.num_levels, stage.panorama, *shadow, ground_share],
            [weight, which, light, *development, int(record), depth, out_normals, covered, num_covered],
        )
        pixels = int(num_covered.numpy()[0])
        if pixels:
            open_sky = self._space("open sky", (frames, count), wp.float32)
            open_sky.fill_(-1.0)
            self.launch(
                self._people.shade_people,
                (self._strips(pixels),),
                [covered, pixels, zbuffer, touched, dressed, normals, self._faces, stage.places, stage.woven],
                [self._weights, self._part, *view, stage.outfits, stage.numbers, stage.has_texture, stage.texture],
                [self._texture_places, self._texture_faces, stage.lights, *shadow, open_sky],
                [weight, which, light, *development, int(record), depth, instance, part, out_normals],
            )
        self._spaces[f"z {quality.samples}"], self._spaces["touched"] = zbuffer, touched

    def _shadow_maps(
        self, stage: Stage, vertices: ndarray, dressed: Any, camera: Camera, quality: Quality
    ) -> list[Any]:
        """What shading asks about shadows: the lights' axes and windows, their maps, the tiles over them, the taps."""
        wp, kernels = self._wp, self._shadows
        frames, people = vertices.shape[:2]
        size = quality.shadow_size or int(np.clip(max(camera.width, camera.height), *_SHADOW_SIZES))
        size = size if quality.shadows else 1
        count = -(-size // kernels.TILE)
        nearest = self._space("shadow", (frames, 2, size, size), wp.float32)
        around = self._space("shadow around", (frames, 2, count, count), wp.float32)
        if not quality.shadows:
            windows = self.upload(np.zeros((frames, 2, 3), np.float32), wp.vec3)
            return [stage.axes, windows, nearest, around, self._taps]
        sizes = (size, size // kernels.SKY_PART)
        windows = self.upload(_shadow_windows(vertices, stage.light_axes, sizes), wp.vec3)
        tiles = self._space("shadow tiles", (frames, 2, count, count), wp.float32)
        nearest.fill_(kernels.NOTHING)
        tiles.fill_(kernels.NOTHING)
        placed = self._space("shadow view", (frames, 2, people * self.num_vertices), wp.vec3)
        self.launch(kernels.light_view, (frames, 2, people * self.num_vertices), [dressed, stage.axes, windows, placed])
        self.launch(
            kernels.rasterize_shadow,
            (frames, 2, people, self._strips(self.num_faces)),
            [placed, self._faces, self.num_vertices, nearest, tiles],
        )
        self.launch(
            kernels.nearest_around_tiles,
            (frames, 2, count, count),
            [tiles, windows, stage.lights.key_spread, around],
        )
        return [stage.axes, windows, nearest, around, self._taps]

    def _space(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array to fill; the one of the last call where it fits, for new memory costs more than a small kernel."""
        space = self._spaces.get(name)
        if space is None or space.shape != shape:
            self._spaces[name] = space = self._wp.empty(shape, dtype=dtype, device=self.device)
        return space

    def _clean_space(self, name: str, shape: tuple[int, ...], dtype: Any, value: int) -> Any:
        """An array full of `value`, taken out of the spaces: who puts it back has made it so again.

        People touch few pixels; to clean those is much less work than to fill the whole array anew.
        """
        space = self._spaces.pop(name, None)
        if space is None or space.shape != shape:
            space = self._wp.full(shape, value, dtype=dtype, device=self.device)
        return space

    def _output(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array to fill and hand out: on the CPU new memory that nobody writes to later, so it need not be copied.

        The memory is numpy's, which asks for large pages.
        """
        if not self._wp.get_device(self.device).is_cpu:
            return self._space(name, shape, dtype)
        each = (3,) if dtype in (self._wp.vec3, self._wp.vec3ub) else ()
        numbers = np.empty((*shape, *each), np.uint8 if dtype is self._wp.vec3ub else np.float32)
        return self._wp.array(numbers, dtype=dtype, device=self.device, copy=False)

    def _empty_output(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array of zeros to hand out, as `_output`; on the CPU the system gives them as they are first touched."""
        if not self._wp.get_device(self.device).is_cpu:
            space = self._space(name, shape, dtype)
            space.zero_()
            return space
        return self._wp.array(np.zeros(shape, np.uint8), dtype=dtype, device=self.device, copy=False)

    def _strips(self, count: int) -> int:
        """How many threads take `count` pixels, faces or vertices."""
        return -(-count // self._geometry.STRIP)

    def launch(self, kernel: Any, dim: tuple[int, ...], *arguments: list[Any]) -> None:
        """Run a kernel; its arguments come in groups only for the eye."""
        self._wp.launch(kernel, dim=dim, inputs=[item for group in arguments for item in group], device=self.device)

    def upload(self, array: ndarray, dtype: Any) -> Any:
        """The array on the device."""
        return self._wp.array(array, dtype=dtype, device=self.device)


def _numbers(tensor: torch.Tensor) -> ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)


def shoulder(light: ndarray) -> ndarray:
    """Highlights rolled off: from 0.7 on, light approaches 1 and never gets there."""
    return np.where(light > 0.7, 1.0 - 0.3 * np.exp(np.minimum(0.7 - light, 0.0) / 0.3), light)


def _shadow_windows(vertices: ndarray, axes: ndarray, sizes: Sequence[int]) -> ndarray:
    """(frames, lights, 3) corner of each shadow map along its axes, texels per metre: people fill `sizes` of it."""
    frames = len(vertices)
    windows = np.zeros((frames, len(axes), 3), np.float32)
    for frame, points in enumerate(vertices):
        # Coordinates one after another, not points: numpy finds the least and greatest of a row fast.
        flat = axes[:, :2].reshape(-1, 3) @ np.ascontiguousarray(points.reshape(-1, 3).T)
        low, high = flat.min(-1).reshape(-1, 2) - _SHADOW_MARGIN, flat.max(-1).reshape(-1, 2) + _SHADOW_MARGIN
        extent = (high - low).max(-1)
        windows[frame, :, :2] = (low + high) / 2 - extent[:, None] / 2
        windows[frame, :, 2] = sizes / extent
    return windows


def _taps(count: int) -> ndarray:
    """(taps, 3) x, y and radius of points spread evenly over the unit disc, on a sunflower spiral."""
    radius = np.sqrt((np.arange(count) + 0.5) / count)
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), radius], -1).astype(np.float32)
