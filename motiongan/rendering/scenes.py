"""Grounds and backdrops: plain, studio, running track, football pitch, sports hall, or pictures from a folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from motiongan.errors import MotionganError, did_you_mean
from motiongan.rendering.appearance import srgb_to_linear
from motiongan.rendering.lighting import Lighting, draw_lighting

PROCEDURAL = ("plain", "studio", "track", "pitch", "hall")
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_SIZE = 1024  # texels along a side of the ground's texture, a power of two
_PANORAMA = (384, 2048)  # rows (elevation) and columns (azimuth) of a backdrop
PANORAMA_TOP, PANORAMA_BOTTOM = 1.5, -0.15  # tangents of the elevation at its first and last row: a cylinder


@dataclass(frozen=True, eq=False)
class Scene:
    """What surrounds the people; colours are linear light.

    ground      (texels, texels, 3) repeated every `tile` metres along x (and y, if wrap_y), or None
    angle, offset  turn about the vertical (radians) and shift (metres) of the ground's texture
    haze        metres after which the ground fades into the backdrop, 0 = never
    panorama    (rows, columns, 3) all round: azimuth along the columns, tangent of the elevation along the rows
    picture     (height, width, 3) a photograph, on which people stand only by their shadows
    colour      of the backdrop, where there is neither panorama nor picture
    matte       how much a full shadow darkens the picture
    """

    name: str
    description: str
    lighting: Lighting
    ground: ndarray | None = None
    tile: float = 8.0
    wrap_y: bool = True
    angle: float = 0.0
    offset: tuple[float, float] = (0.0, 0.0)
    grain: float = 0.0
    haze: float = 0.0
    panorama: ndarray | None = None
    turn: float = 0.0
    picture: ndarray | None = None
    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    matte: float = 0.0
    draws: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """What was drawn, for the manifest."""
        placed = {"turn": round(self.angle, 4), "offset": [round(shift, 3) for shift in self.offset]}
        return {"kind": self.name, "description": self.description, **placed, **self.draws}


def pictures_of(folder: Path, option: str) -> list[Path]:
    """The pictures in a folder, by name. Raises MotionganError where there are none, or one cannot be read."""
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES and path.is_file())
    if not pictures:
        raise MotionganError(f"{option} {folder}: no pictures in it; expected {', '.join(_PICTURES)} files")
    for path in pictures:
        open_picture(path).close()
    return pictures


def check_scene(name: str | Path) -> list[Path]:
    """The pictures of a folder of backgrounds, none for a scene of our own.

    Raises MotionganError for a name that is neither, and for a folder without pictures or with a broken one.
    """
    if str(name) in PROCEDURAL:
        return []
    folder = Path(name)
    if not folder.is_dir():
        hint = did_you_mean(str(name), PROCEDURAL) or f"; one of {', '.join(PROCEDURAL)}, or a folder of pictures"
        raise MotionganError(f"--scene {name}: no such scene or folder{hint}")
    return pictures_of(folder, "--scene")


def draw_scene(
    name: str | Path, pictures: Sequence[Path], width: int, height: int, *, random: np.random.Generator
) -> Scene:
    """A scene of this kind with its light; `pictures` as `check_scene` gives them."""
    if pictures:
        return _picture_scene(pictures[int(random.integers(len(pictures)))], width, height, random)
    return {"plain": _plain, "studio": _studio, "track": _track, "pitch": _pitch, "hall": _hall}[str(name)](random)


def _plain(random: np.random.Generator) -> Scene:
    """One colour on ground and backdrop, and nothing else but the shadow."""
    colour = _tuple(_srgb(random.uniform(0.35, 0.85) * np.ones(3) + random.uniform(-0.08, 0.08, 3)))
    lighting = draw_lighting("studio", random=random, ground=colour)
    texture = np.asarray(colour, np.float32).reshape(1, 1, 3)
    floor = np.asarray(lighting.sky_colour) + np.asarray(lighting.key_colour) * lighting.key[2]
    floor = floor + np.asarray(lighting.fill_colour) * lighting.fill[2]
    backdrop = _tuple(np.asarray(colour) * floor)
    return Scene("plain", "one colour", lighting, ground=texture, haze=60.0, colour=backdrop)


def _studio(random: np.random.Generator) -> Scene:
    """A paper cove: the floor runs into a wall that is lighter in the middle."""
    tone = float(random.choice([0.28, 0.45, 0.62, 0.78, 0.9]))
    hue = random.normal(0, 0.035, 3)
    if random.random() < 0.3:
        hue = random.uniform(-0.2, 0.2, 3)
    colour = np.asarray(_srgb(np.clip(tone + hue - hue.mean(), 0.03, 0.95)))
    lighting = draw_lighting("studio", random=random, ground=_tuple(colour))
    texture = colour * (1 + 0.06 * (_noise(random, _SIZE, 5) - 0.5))[..., None]
    elevation = _elevations()[:, None]
    azimuth = np.linspace(-180, 180, _PANORAMA[1])[None]
    glow = 0.75 + 0.45 * np.exp(-((azimuth / 45) ** 2) - ((elevation - 12) / 30) ** 2)
    wall = colour * (glow * random.uniform(0.75, 1.05))[..., None]
    return Scene(
        "studio",
        f"studio, paper of tone {tone}",
        lighting,
        ground=texture.astype(np.float32),
        tile=4.0,
        haze=float(random.uniform(5, 9)),
        grain=0.05,
        panorama=wall.astype(np.float32),
        turn=float(random.uniform()),
    )


def _track(random: np.random.Generator) -> Scene:
    """Eight lanes of 1.22 m on a tartan track, grass on both sides, a stand and trees around."""
    tartan = np.asarray(
        _srgb(_choose(random, [(0.66, 0.26, 0.2), (0.72, 0.33, 0.22), (0.2, 0.36, 0.62), (0.5, 0.2, 0.2)]))
    )
    tile = 16.0
    y = _metres(tile)[:, None, None]
    grass = _grass(random)
    texture = tartan * (1 + 0.16 * (_noise(random, _SIZE, 6) - 0.5))[..., None]
    lanes = 1.22 * 8 / 2
    white = np.zeros((_SIZE, 1, 1))
    for lane in range(9):
        white = np.maximum(white, _band(y - (lane * 1.22 - lanes), 0.025, tile))
    texture = texture + white * (np.asarray(_srgb((0.88, 0.88, 0.86))) - texture)
    texture = np.where(np.abs(y) > lanes + 0.05, grass, texture)
    lighting = draw_lighting("sun", random=random, ground=_tuple(tartan * 0.7))
    return Scene(
        "track",
        "running track",
        lighting,
        ground=texture.astype(np.float32),
        tile=tile,
        wrap_y=False,
        angle=float(random.uniform(0, 2 * np.pi)),
        offset=(float(random.uniform(0, tile)), float(random.uniform(-3, 3))),
        grain=0.35,
        panorama=_outdoors(random, lighting, stand=random.random() < 0.6),
        turn=float(random.uniform()),
    )


def _pitch(random: np.random.Generator) -> Scene:
    """A mown pitch in light and dark stripes, with a line, under trees or a stand."""
    tile = 24.0
    x, y = _metres(tile)[None, :, None], _metres(tile)[:, None, None]
    grass = _grass(random)
    stripe = 0.5 + 0.5 * np.tanh(6 * np.sin(2 * np.pi * y / (tile / 4)))
    texture = grass * (0.86 + 0.28 * stripe)
    lines = np.zeros((_SIZE, _SIZE, 1))
    if random.random() < 0.7:
        lines = np.maximum(lines, _band(x - random.uniform(-6, 6), 0.06, tile))
    if random.random() < 0.5:
        radius = np.hypot(x, y)
        lines = np.maximum(lines, _band(radius - random.uniform(3, 9.15), 0.06, 10 * tile))
    texture = texture + 0.9 * lines * (np.asarray(_srgb((0.88, 0.9, 0.86))) - texture)
    lighting = draw_lighting("sun", random=random, ground=_tuple(grass.mean((0, 1))))
    return Scene(
        "pitch",
        "football pitch",
        lighting,
        ground=texture.astype(np.float32),
        tile=tile,
        angle=float(random.uniform(0, 2 * np.pi)),
        offset=(float(random.uniform(0, tile)), float(random.uniform(0, tile))),
        grain=0.5,
        panorama=_outdoors(random, lighting, stand=random.random() < 0.4),
        turn=float(random.uniform()),
    )


def _hall(random: np.random.Generator) -> Scene:
    """A sports hall: boards with coloured court lines, walls with wainscot, windows and lamps."""
    tile = 12.0
    x, y = _metres(tile)[None, :, None], _metres(tile)[:, None, None]
    wooden = random.random() < 0.65
    base = _choose(random, [(0.74, 0.56, 0.36), (0.66, 0.46, 0.28), (0.8, 0.65, 0.45)])
    if not wooden:
        base = _choose(random, [(0.3, 0.48, 0.62), (0.35, 0.52, 0.42), (0.55, 0.57, 0.58)])
    floor = np.asarray(_srgb(base))
    texture = np.broadcast_to(floor, (_SIZE, _SIZE, 3)).copy()
    if wooden:
        board = np.floor(np.arange(_SIZE) / _SIZE * tile / 0.12).astype(int)
        rows = random.uniform(0.85, 1.12, board.max() + 1)[board]
        streaks = _noise(random, _SIZE, 7, stretch=16)
        gap = np.where((np.arange(_SIZE) / _SIZE * tile / 0.12) % 1 < 0.08, 0.75, 1.0)
        texture *= (rows * gap)[:, None, None] * (0.88 + 0.24 * streaks)[..., None]
    else:
        texture *= (1 + 0.06 * (_noise(random, _SIZE, 6) - 0.5))[..., None]
    for _ in range(int(random.integers(1, 4))):
        ink = np.asarray(
            _srgb(_choose(random, [(0.9, 0.9, 0.88), (0.75, 0.15, 0.12), (0.1, 0.2, 0.55), (0.95, 0.8, 0.2)]))
        )
        if random.random() < 0.5:
            line = np.broadcast_to(_band(x - random.uniform(-6, 6), 0.025, tile), (_SIZE, _SIZE, 1))
        elif random.random() < 0.6:
            line = np.broadcast_to(_band(y - random.uniform(-6, 6), 0.025, tile), (_SIZE, _SIZE, 1))
        else:
            line = _band(np.hypot(x, y) - random.uniform(1.8, 4.5), 0.025, 10 * tile)
        texture = texture + 0.95 * line * (ink - texture)
    lighting = draw_lighting("hall", random=random, ground=_tuple(floor))
    return Scene(
        "hall",
        "sports hall, boards" if wooden else "sports hall, resin floor",
        lighting,
        ground=texture.astype(np.float32),
        tile=tile,
        angle=float(random.choice([0.0, 0.5]) * np.pi + random.uniform(-0.1, 0.1)),
        offset=(float(random.uniform(0, tile)), float(random.uniform(0, tile))),
        grain=0.06,
        haze=0.0,
        panorama=_room(random),
        turn=float(random.uniform()),
    )


def _picture_scene(path: Path, width: int, height: int, random: np.random.Generator) -> Scene:
    """A photograph, cut to the picture's shape, mirrored at random; its mean colours tint the light."""
    from PIL import Image, ImageOps

    with open_picture(path) as opened:
        picture = ImageOps.fit(opened, (width, height), Image.Resampling.LANCZOS)
    mirrored = bool(random.random() < 0.5)
    pixels = np.asarray(ImageOps.mirror(picture) if mirrored else picture, np.float32) / 255
    light = srgb_to_linear(pixels).astype(np.float32)
    above, below = light[: height // 3].mean((0, 1)), light[height // 2 :].mean((0, 1))
    mild = 0.5 + 0.5 * above / max(above.mean(), 1e-3)
    lighting = draw_lighting(
        str(random.choice(["sun", "hall", "studio"])), random=random, ambient=_tuple(mild), ground=_tuple(below)
    )
    return Scene(
        "picture",
        f"picture {path.name}",
        lighting,
        picture=_before_shoulder(light),
        matte=float(random.uniform(0.55, 0.9)),
        draws={"picture": path.name, "mirrored": mirrored},
    )


def _before_shoulder(light: ndarray) -> ndarray:
    """The light that the film, which rolls highlights off from 0.7 on, turns into this light."""
    rolled = np.clip((light - 0.7) / 0.3, 0, 0.99)
    return np.where(light > 0.7, 0.7 - 0.3 * np.log1p(-rolled), light).astype(np.float32)


def open_picture(path: Path) -> Any:
    """The whole picture as RGB, decoded, so that a damaged file is found here."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            return opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())
        raise MotionganError(f"{path}: not a readable picture ({reason}); mend it or take it away") from None


def _outdoors(random: np.random.Generator, lighting: Lighting, *, stand: bool) -> ndarray:
    """Sky with clouds, trees at the horizon, and perhaps a stand with people in it."""
    rows, columns = _PANORAMA
    elevation = _elevations()[:, None]
    azimuth = np.linspace(0, 360, columns, endpoint=False)[None]
    overcast = min(lighting.key_spread / 0.12, 1.0)
    zenith = np.asarray(_srgb((0.30, 0.52, 0.85))) * (1 - overcast) + np.asarray(_srgb((0.75, 0.78, 0.82))) * overcast
    horizon = np.asarray(_srgb((0.80, 0.88, 0.95))) * (1 - 0.3 * overcast)
    height = np.clip(elevation / 60, 0, 1)[..., None] ** 0.6
    sky = horizon + (zenith - horizon) * height
    clouds = _noise(random, rows, 6, columns=columns, stretch=2)
    clouds = np.clip((clouds - 0.52 + 0.2 * overcast) * 4, 0, 1)[..., None] * np.clip(elevation / 12, 0, 1)[..., None]
    picture = sky + clouds * 0.75 * (np.asarray(_srgb((0.95, 0.95, 0.96))) - sky)
    # Trees: a wavy line of foliage.
    trees = np.asarray(
        _srgb(_choose(random, [(0.2, 0.32, 0.16), (0.26, 0.34, 0.2), (0.3, 0.36, 0.26), (0.34, 0.32, 0.2)]))
    )
    outline = 3.5 + 5.0 * _noise_line(random, columns, 5) + 2.5 * _noise_line(random, columns, 8)
    leaves = 0.6 + 0.8 * _noise(random, rows, 8, columns=columns)
    inside = np.clip((outline[None] * random.uniform(0.5, 1.2) - elevation) * 3, 0, 1)[..., None]
    picture = picture + inside * (trees * leaves[..., None] - picture)
    if stand:
        # Rows of seats between two azimuths, with spectators in some of them.
        middle, half = random.uniform(60, 300), random.uniform(35, 70)
        top = random.uniform(8, 14)
        seat = np.asarray(_srgb(_choose(random, [(0.2, 0.3, 0.55), (0.6, 0.2, 0.18), (0.6, 0.6, 0.62)])))
        tier = np.clip(elevation / top, 0, 1)
        step = (0.72 + 0.28 * (np.sin(2 * np.pi * tier * 12) > -0.2))[..., None]
        crowd_rows, crowd_columns = 12, columns // 3
        filled = random.random((crowd_rows, crowd_columns)) < random.uniform(0.05, 0.7)
        clothes = np.asarray(_srgb(random.uniform(0.1, 0.85, (crowd_rows, crowd_columns, 3))))
        row_of = np.clip((tier[:, 0] * crowd_rows).astype(int), 0, crowd_rows - 1)
        column_of = np.minimum(np.arange(columns) // 3, crowd_columns - 1)
        people = np.where(filled[..., None], clothes, seat)[row_of][:, column_of]
        inside = (np.abs(azimuth - middle) < half) & (elevation > 0.6) & (elevation < top)
        picture = np.where(inside[..., None], people * step * 0.8, picture)
        roof = (np.abs(azimuth - middle) < half + 2) & (elevation >= top) & (elevation < top + 1.6)
        picture = np.where(roof[..., None], np.asarray(_srgb((0.55, 0.57, 0.6))), picture)
    # A board along the edge of the ground.
    board = np.asarray(
        _srgb(_choose(random, [(0.85, 0.85, 0.85), (0.15, 0.25, 0.5), (0.6, 0.12, 0.12), (0.2, 0.2, 0.22)]))
    )
    fence = (elevation > -1.2) & (elevation < random.uniform(0.4, 1.4))
    picture = np.where(fence[..., None], board * (0.85 + 0.3 * _noise_line(random, columns, 7))[None, :, None], picture)
    return _soften(picture)


def _room(random: np.random.Generator) -> ndarray:
    """The inside of a box, seen from a point in it: walls with wainscot and windows, ceiling with lamps."""
    columns = _PANORAMA[1]
    elevation = np.radians(_elevations())[:, None]
    azimuth = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    way = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation) * np.ones_like(azimuth),
        ],
        -1,
    )
    half = np.array([random.uniform(12, 22), random.uniform(9, 15)])
    eye, ceiling = 1.5, random.uniform(6, 9)
    to_x = half[0] / np.maximum(np.abs(way[..., 0]), 1e-6)
    to_y = half[1] / np.maximum(np.abs(way[..., 1]), 1e-6)
    to_z = np.where(way[..., 2] > 0, (ceiling - eye) / np.maximum(way[..., 2], 1e-6), 1e9)
    distance = np.minimum(np.minimum(to_x, to_y), to_z)
    point = way * distance[..., None]
    height = point[..., 2] + eye
    along = np.where(to_x < to_y, point[..., 1], point[..., 0])
    wall = np.asarray(
        _srgb(_choose(random, [(0.82, 0.8, 0.74), (0.7, 0.74, 0.76), (0.86, 0.84, 0.82), (0.72, 0.6, 0.48)]))
    )
    dado = np.asarray(
        _srgb(_choose(random, [(0.62, 0.46, 0.3), (0.25, 0.38, 0.52), (0.3, 0.45, 0.36), (0.5, 0.5, 0.5)]))
    )
    picture = np.where((height < random.uniform(1.6, 3.0))[..., None], dado, wall)
    picture = picture * (0.92 + 0.08 * (np.mod(along, 1.2) > 0.03))[..., None]
    window = (height > ceiling - 2.6) & (height < ceiling - 0.8) & (np.mod(along, 4.0) > 0.9)
    frame = np.mod(along, 4.0) % 1.55 < 0.08
    bright = np.asarray(_srgb((0.92, 0.95, 0.98))) * random.uniform(0.7, 1.3)
    if random.random() < 0.6:
        picture = np.where((window & ~frame)[..., None], bright, picture)
    if random.random() < 0.7:  # wall bars
        bars = (
            (np.abs(along - random.uniform(-5, 5)) < 3) & (to_x < to_y) & (height < 2.8) & (np.mod(height, 0.18) < 0.05)
        )
        picture = np.where(bars[..., None], np.asarray(_srgb((0.7, 0.52, 0.32))), picture)
    overhead = (to_z <= np.minimum(to_x, to_y)) & (way[..., 2] > 0)
    lamp = overhead & (np.mod(point[..., 0], 4.0) < 1.6) & (np.mod(point[..., 1], 3.0) < 0.35)
    picture = np.where(overhead[..., None], np.asarray(_srgb((0.6, 0.6, 0.6))), picture)
    picture = np.where(lamp[..., None], 1.3, picture)
    corner = np.exp(-np.minimum(np.abs(to_x - to_y), 3.0))
    return _soften(picture * (1 - 0.25 * corner * ~overhead)[..., None] * 0.8)


def _elevations() -> ndarray:
    """Elevation of a backdrop's rows, degrees."""
    return np.degrees(np.arctan(np.linspace(PANORAMA_TOP, PANORAMA_BOTTOM, _PANORAMA[0])))


def _grass(random: np.random.Generator) -> ndarray:
    green = np.asarray(
        _srgb(_choose(random, [(0.25, 0.42, 0.15), (0.3, 0.45, 0.2), (0.36, 0.44, 0.2), (0.22, 0.38, 0.18)]))
    )
    patches = 0.7 + 0.35 * _noise(random, _SIZE, 4) + 0.35 * _noise(random, _SIZE, 9)
    dry = np.asarray(_srgb((0.5, 0.47, 0.25)))
    share = np.clip(_noise(random, _SIZE, 5) - 0.55, 0, 1)[..., None] * 1.2
    return (green + share * (dry - green)) * patches[..., None]


def _metres(tile: float) -> ndarray:
    """Coordinates of the texels' centres, from -tile / 2 to tile / 2."""
    return ((np.arange(_SIZE) + 0.5) / _SIZE - 0.5) * tile


def _band(distance: ndarray, half: float, tile: float) -> ndarray:
    """1 within `half` metres of a line, falling over a texel; distances repeat with the tile."""
    wrapped = np.abs(np.mod(distance + tile / 2, tile) - tile / 2)
    return np.clip((half - wrapped) / 0.012 + 0.5, 0, 1)


def _noise(random: np.random.Generator, rows: int, octaves: int, *, columns: int = 0, stretch: int = 1) -> ndarray:
    """(rows, columns or rows) smooth noise around 0.5 that repeats at the edges; `stretch` draws it out sideways."""
    columns = columns or rows
    total, weight = np.zeros((rows, columns), np.float32), 0.0
    for octave in range(1, octaves + 1):
        cells = 2 ** (octave + 1)
        lattice = random.random((min(cells, rows), max(min(cells, columns) // stretch, 1)), np.float32)
        total += np.float32(0.6**octave) * _stretched(_stretched(lattice, columns, 1), rows, 0)
        weight += 0.6**octave
    return total / np.float32(weight)


def _noise_line(random: np.random.Generator, size: int, octaves: int) -> ndarray:
    """(size,) smooth noise around 0.5 that repeats."""
    total, weight = np.zeros(size), 0.0
    for octave in range(1, octaves + 1):
        total += 0.6**octave * _stretched(random.random(2 ** (octave + 1)), size, 0)
        weight += 0.6**octave
    return total / weight


def _stretched(values: ndarray, size: int, axis: int) -> ndarray:
    """Values blown up to `size` along an axis, smoothly, repeating."""
    count = values.shape[axis]
    place = np.arange(size) * count / size
    start = place.astype(int)
    share = place - start
    share = (share * share * (3 - 2 * share)).astype(values.dtype)
    shape = [1] * values.ndim
    shape[axis] = size
    share = share.reshape(shape)
    return np.take(values, start, axis) * (1 - share) + np.take(values, (start + 1) % count, axis) * share


def _soften(picture: ndarray) -> ndarray:
    """The backdrop a little out of focus."""
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(picture.astype(np.float32), sigma=(1.2, 1.2, 0), mode=("nearest", "wrap", "nearest"))
    return np.ascontiguousarray(blurred, np.float32)


def _choose(random: np.random.Generator, colours: Sequence[tuple[float, float, float]]) -> ndarray:
    """One of the colours, a little varied."""
    return np.clip(np.asarray(colours[int(random.integers(len(colours)))]) * random.uniform(0.88, 1.1, 3), 0, 1)


def _srgb(colour: Any) -> Any:
    return srgb_to_linear(np.asarray(colour, np.float64))


def _tuple(values: ndarray) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)
