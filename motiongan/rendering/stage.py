"""A scene and the people in it, ready on the device: light, ground, backdrop, outfits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy import ndarray

from motiongan.rendering.appearance import Landmarks, Look, number_table, outfit_values
from motiongan.rendering.clothing import Layers
from motiongan.rendering.lighting import light_axes
from motiongan.rendering.scenes import Scene
from motiongan.rendering.warp_runtime import load_warp

if TYPE_CHECKING:
    from motiongan.rendering.rasterizer import Rasterizer

_OVERHEAD = (0.02, 0.03, -1.0)  # way of the sky's light: from above, not along a symmetry of the body


class Stage:
    """Scene, light and looks on the device. Make it with `Rasterizer.stage`."""

    def __init__(
        self,
        rasterizer: "Rasterizer",
        scene: Scene,
        looks: Sequence[Look],
        marks: Landmarks,
        textures: Sequence[ndarray] = (),
    ) -> None:
        assert not textures or rasterizer.has_texture_places, "the body has no texture coordinates"
        assert len(textures) in (0, len(looks)), "a texture for each person, or none"
        wp = load_warp()
        from motiongan.rendering import light_kernels, paint_kernels, surroundings_kernels

        upload = rasterizer.upload
        lighting = scene.lighting
        self.lights = light_kernels.Lights()
        for name in ("key", "key_colour", "fill", "fill_colour", "sky_colour", "bounce_colour"):
            setattr(self.lights, name, wp.vec3(*getattr(lighting, name)))
        self.lights.key_spread = lighting.key_spread
        self.light_axes = np.stack([light_axes([-x for x in lighting.key]), light_axes(_OVERHEAD)])
        self.axes = upload(self.light_axes, wp.mat33)

        setting = surroundings_kernels.Setting()
        setting.ground = (
            surroundings_kernels.GROUND_TEXTURE if scene.ground is not None else surroundings_kernels.GROUND_NONE
        )
        if scene.picture is not None and scene.matte > 0:
            setting.ground = surroundings_kernels.GROUND_MATTE
        setting.tile, setting.wrap_y = scene.tile, int(scene.wrap_y)
        setting.ground_cosine, setting.ground_sine = float(np.cos(scene.angle)), float(np.sin(scene.angle))
        setting.ground_x, setting.ground_y = scene.offset
        setting.grain, setting.haze, setting.matte = scene.grain, scene.haze, scene.matte
        setting.backdrop_colour, setting.turn = wp.vec3(*scene.colour), scene.turn
        backdrop = np.zeros((2, 2, 3), np.float32)
        setting.backdrop = surroundings_kernels.BACKDROP_COLOUR
        if scene.panorama is not None:
            setting.backdrop, backdrop = surroundings_kernels.BACKDROP_PANORAMA, scene.panorama
        if scene.picture is not None:
            setting.backdrop, backdrop = surroundings_kernels.BACKDROP_PICTURE, scene.picture
        self.setting = setting
        self.has_ground = setting.ground != surroundings_kernels.GROUND_NONE
        self.panorama = upload(np.ascontiguousarray(backdrop, np.float32), wp.vec3)
        levels = _mip_levels(scene.ground if scene.ground is not None else np.zeros((1, 1, 3), np.float32))
        self.num_levels = len(levels)
        self.texels = upload(np.concatenate([level.reshape(-1, 3) for level in levels]), wp.vec3)

        outfits = []
        for index, look in enumerate(looks):
            outfit = paint_kernels.Outfit()
            for name, value in outfit_values(look, marks).items():
                setattr(outfit, name, wp.vec3(*value) if isinstance(value, tuple) else value)
            outfit.number = index if look.number is not None else -1
            outfits.append(outfit)
        self.outfits = wp.array(outfits, dtype=paint_kernels.Outfit, device=rasterizer.device)
        self.numbers = upload(number_table(list(looks)), wp.float32)
        self.has_texture = int(bool(textures))
        worn = np.stack(list(textures)) if textures else np.zeros((1, 2, 2, 3), np.float32)
        self.texture = upload(np.ascontiguousarray(worn, np.float32), wp.vec3)
        people, vertices = len(looks), rasterizer.num_vertices
        thickness = wp.zeros((people, vertices), dtype=wp.float32, device=rasterizer.device)
        layers = wp.zeros((people, vertices), dtype=wp.vec4, device=rasterizer.device)
        rasterizer.launch(paint_kernels.clothe, (people, vertices), [rasterizer.rest, self.outfits, thickness, layers])
        fitted = [
            rasterizer.tailor.dress(Layers(thick, cover[:, 0], cover[:, 1], cover[:, 2], cover[:, 3]))
            for thick, cover in zip(thickness.numpy(), layers.numpy())
        ]
        # Cloth is painted by where it hangs, not by the skin under it: its lines stay straight.
        self.places = upload(np.concatenate([places for places, _ in fitted]), wp.vec3)
        self.offsets = upload(np.concatenate([offsets for _, offsets in fitted]), wp.vec3)
        self.woven = wp.zeros(people * vertices, dtype=wp.vec4, device=rasterizer.device)
        rasterizer.launch(paint_kernels.weave, (people * vertices,), [self.places, self.outfits, self.woven])
        shoes = rasterizer.tailor.shoes(layers.numpy()[0, :, 2])
        row = np.full(vertices, -1, np.int32)
        row[shoes.vertices] = np.arange(len(shoes.vertices))
        self.shoe_row, self.no_shoe_row = upload(row, wp.int32), upload(np.full(vertices, -1, np.int32), wp.int32)
        self.shoes = (
            upload(shoes.share, wp.float32),
            upload(shoes.carriers, wp.int32),
            upload(shoes.amounts, wp.float32),
        )
        self.no_offsets = wp.zeros(people * vertices, dtype=wp.vec3, device=rasterizer.device)


def _mip_levels(texture: ndarray) -> list[ndarray]:
    """The texture, and its halves down to a single texel."""
    levels: list[ndarray] = [np.ascontiguousarray(texture, np.float32)]
    while len(levels[-1]) > 1:
        last = levels[-1]
        levels.append((last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]) / 4)
    return levels
