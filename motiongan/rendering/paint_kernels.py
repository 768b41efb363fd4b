"""Warp functions that paint people: skin, hair and clothes, told apart by the point of the rest pose that is seen.

Borders are planes and ellipses on the rest body, so that they are clean at any resolution, whatever the mesh.
"""

from typing import no_type_check  # warp compiles these functions, Python never runs them

import warp as wp

# ruff: noqa: UP018 (warp takes `float(0.0)` for a variable, `0.0` for a constant)

wp.set_module_options({"enable_backward": False})


@wp.struct
@no_type_check
class Outfit:
    """Colours of one person and where, on the rest body (T-pose, Y up, facing +Z, metres), each of them begins."""

    skin: wp.vec3
    lips: wp.vec3
    hair: wp.vec3
    brows: wp.vec3
    iris: wp.vec3
    shirt: wp.vec3
    trim: wp.vec3  # sleeves, stripes, side panels, number
    shorts: wp.vec3
    shorts_trim: wp.vec3
    socks: wp.vec3
    shoes: wp.vec3
    sole: wp.vec3
    band: wp.vec3  # wristbands
    # the shirt
    sleeve_x: float
    sleeve_slope: float  # metres outward per metre up: slanted armholes of a singlet
    shoulder_y: float
    hem_y: float
    neck_y: float
    neck_z: float  # centre and radius of the neck's hole
    neck_radius: float
    hole_y: float  # how far down it reaches
    vee_y: float  # tip of the V, -9 = round neck
    waist_y: float
    shorts_y: float
    shirt_ease: float  # metres between skin and cloth
    shorts_ease: float
    hair_height: float
    sock_y: float
    shoe_y: float
    shoe_tilt: float
    shoe_x: float
    shoe_z: float
    sole_y: float
    band_from: float
    band_to: float
    # pattern of the shirt
    pattern: int  # 0 plain, 1 hoops, 2 stripes, 3 contrast sleeves, 4 side panels, 5 chest band, 6 sash, 7 halves
    period: float
    number: int  # row of the table of numbers, -1 = none
    number_y: float
    number_size: float
    # the head
    hair_point: wp.vec3
    hair_normal: wp.vec3
    hair_back: wp.vec3  # second plane: the neck's hairline
    hair_back_normal: wp.vec3
    bald: int
    headband_y: float
    headband: int
    eye: wp.vec3  # left eye
    mouth: wp.vec3
    beard: float  # 0 none .. 1 full
    folds: float  # metres: height of the cloth's folds
    seed: float


@wp.struct
@no_type_check
class Surface:
    """What a point of a person is made of."""

    colour: wp.vec3
    cloth: float  # 0 skin or hair .. 1 cloth
    gloss: float


@wp.func
@no_type_check
def cover(distance: float, pixels: float) -> float:
    """How much of a pixel lies inside a border at that distance (metres, positive inside); `pixels` a metre."""
    return wp.clamp(0.5 + distance * pixels, 0.0, 1.0)


@wp.func
@no_type_check
def blend(under: wp.vec3, over: wp.vec3, share: float) -> wp.vec3:
    return under + share * (over - under)


@wp.func
@no_type_check
def hash3(x: int, y: int, z: int) -> float:
    """Noise in [0, 1) of a lattice point."""
    h = wp.uint32(x) * wp.uint32(374761393) + wp.uint32(y) * wp.uint32(668265263) + wp.uint32(z) * wp.uint32(2147483647)
    h = (h ^ (h >> wp.uint32(13))) * wp.uint32(1274126177)
    h = h ^ (h >> wp.uint32(16))
    return float(h & wp.uint32(0xFFFFFF)) / 16777216.0


@wp.func
@no_type_check
def value_noise(p: wp.vec3) -> float:
    """Smooth noise in [0, 1) with a period of about one unit."""
    ix = int(wp.floor(p[0]))
    iy = int(wp.floor(p[1]))
    iz = int(wp.floor(p[2]))
    fx = p[0] - float(ix)
    fy = p[1] - float(iy)
    fz = p[2] - float(iz)
    fx = fx * fx * (3.0 - 2.0 * fx)
    fy = fy * fy * (3.0 - 2.0 * fy)
    fz = fz * fz * (3.0 - 2.0 * fz)
    low = wp.lerp(
        wp.lerp(hash3(ix, iy, iz), hash3(ix + 1, iy, iz), fx),
        wp.lerp(hash3(ix, iy + 1, iz), hash3(ix + 1, iy + 1, iz), fx),
        fy,
    )
    high = wp.lerp(
        wp.lerp(hash3(ix, iy, iz + 1), hash3(ix + 1, iy, iz + 1), fx),
        wp.lerp(hash3(ix, iy + 1, iz + 1), hash3(ix + 1, iy + 1, iz + 1), fx),
        fy,
    )
    return wp.lerp(low, high, fz)


@wp.func
@no_type_check
def fast_sine(angle: float) -> float:
    """Sine to 0.001, from two parabolas: several times faster than the library's."""
    half_turns = angle * 0.318309886
    half_turns = half_turns - 2.0 * wp.floor(0.5 * half_turns + 0.5)  # -1 to 1
    bow = 4.0 * half_turns * (1.0 - wp.abs(half_turns))
    return bow + 0.225 * (bow * wp.abs(bow) - bow)


@wp.func
@no_type_check
def fast_cosine(angle: float) -> float:
    return fast_sine(angle + 1.5707963)


@wp.func
@no_type_check
def fade(depth: float) -> float:
    """exp(-depth) to 0.0001 for depth >= 0, the eighth power of a polynomial: several times faster than the library's.

    It ends at exp(-8), beyond which no eye and no 8-bit number tells it from nothing.
    """
    x = 0.125 * wp.min(depth, 8.0)
    root = 1.0 + x * (-1.0 + x * (0.5 + x * (-0.166666667 + x * 0.0416666667)))
    square = root * root
    fourth = square * square
    return fourth * fourth


@wp.func
@no_type_check
def fold_slope(p: wp.vec3, height: float, seed: float) -> wp.vec3:
    """Gradient, in rest axes, of the height of the cloth's folds (metres per metre)."""
    phase = seed * 40.0
    a = 23.0 * p[1] + 9.0 * p[0] + 2.0 * fast_sine(11.0 * p[0] + phase)
    b = 31.0 * p[0] - 17.0 * p[1] + 11.0 * p[2] + 1.7 * fast_sine(13.0 * p[1] + 2.0 * phase)
    c = 47.0 * p[1] + 29.0 * p[2] - 21.0 * p[0] + 1.5 * fast_sine(19.0 * p[0] + 3.0 * phase)
    slope = fast_cosine(a) * wp.vec3(9.0 + 22.0 * fast_cosine(11.0 * p[0] + phase), 23.0, 0.0)
    slope += 0.6 * fast_cosine(b) * wp.vec3(31.0, -17.0 + 22.0 * fast_cosine(13.0 * p[1] + 2.0 * phase), 11.0)
    slope += 0.35 * fast_cosine(c) * wp.vec3(-21.0 + 28.0 * fast_cosine(19.0 * p[0] + 3.0 * phase), 47.0, 29.0)
    return height * slope


@wp.func
@no_type_check
def shirt_inside(p: wp.vec3, o: Outfit) -> wp.vec3:
    """Distances in metres inside the shirt's sleeve, neckline and hem (positive inside)."""
    side = wp.abs(p[0])
    sleeve = o.sleeve_x + o.sleeve_slope * (p[1] - o.shoulder_y) - side
    # A round hole about the neck, perhaps with a V before it; nothing above the collar.
    ahead = p[2] - o.neck_z
    lowest = wp.where(ahead > 0.0, o.hole_y, o.hole_y + 0.06)  # the back is cut less low than the front
    hole = wp.max(wp.sqrt(p[0] * p[0] + ahead * ahead) - o.neck_radius, lowest - p[1])
    neckline = wp.min(hole, o.neck_y - p[1])
    if o.vee_y > -8.0 and ahead > 0.0:
        neckline = wp.min(neckline, 0.9 * (side - 0.45 * (p[1] - o.vee_y)))
    return wp.vec3(sleeve, neckline, p[1] - o.hem_y)


@wp.func
@no_type_check
def shorts_inside(p: wp.vec3, o: Outfit) -> float:
    """Distance in metres inside waistband and legs of the shorts."""
    if wp.abs(p[0]) > 0.45:
        return -1.0
    return wp.min(o.waist_y - p[1], p[1] - o.shorts_y)


@wp.func
@no_type_check
def shoe_inside(p: wp.vec3, o: Outfit) -> float:
    """Distance in metres below the opening of the shoe."""
    ahead = p[2] - o.shoe_z
    return o.shoe_y + o.shoe_tilt * wp.max(4.0 * ahead, -ahead) - p[1]  # the tongue rises up the instep


@wp.func
@no_type_check
def hair_inside(p: wp.vec3, o: Outfit) -> float:
    """Distance in metres behind the hairline of forehead, ears and neck."""
    if o.bald == 1:
        return -1.0
    side = wp.abs(p[0])
    inside = wp.dot(p - o.hair_point, o.hair_normal)
    inside = wp.min(inside, wp.dot(p - o.hair_back, o.hair_back_normal))
    if side > 0.055:
        ear = wp.length(wp.vec3(0.0, p[1] - o.eye[1] + 0.012, p[2] - o.eye[2] + 0.095)) - 0.034
        inside = wp.min(inside, ear)
    return inside


@wp.kernel
@no_type_check
def clothe(
    rest: wp.array(dtype=wp.vec3),
    outfits: wp.array(dtype=Outfit),
    thickness: wp.array2d(dtype=wp.float32),  # (people, vertices) metres
    layers: wp.array2d(dtype=wp.vec4),  # (people, vertices) cover by shirt, shorts, shoes, hair
):
    """How far cloth, hair and shoes stand off the skin at each vertex, and which of them covers it."""
    person, vertex = wp.tid()
    o = outfits[person]
    p = rest[vertex]
    inside = shirt_inside(p, o)
    shirt = wp.smoothstep(-0.004, 0.02, wp.min(wp.min(inside[0], inside[1]), inside[2]))
    shorts = wp.smoothstep(-0.004, 0.015, shorts_inside(p, o))
    shoes = wp.smoothstep(-0.01, 0.012, shoe_inside(p, o))
    hair = wp.smoothstep(-0.006, 0.045, hair_inside(p, o))
    loose = o.shirt_ease * (1.0 + 0.8 * wp.smoothstep(0.25, 0.0, inside[2]))
    total = wp.max(loose * shirt, o.shorts_ease * (0.5 + wp.smoothstep(0.2, 0.0, p[1] - o.shorts_y)) * shorts)
    total = wp.max(total, o.hair_height * hair)
    total = wp.max(total, 0.004 * shoes)
    total = wp.max(total, 0.002 * wp.smoothstep(-0.004, 0.004, o.sock_y - p[1]))
    thickness[person, vertex] = total
    cloth = 0.9
    if o.shirt_ease < 0.005:
        cloth = 0.35
    layers[person, vertex] = wp.vec4(cloth * shirt, cloth * shorts, shoes, 0.6 * hair)


@wp.kernel
@no_type_check
def weave(
    places: wp.array(dtype=wp.vec3),  # (people x vertices) dressed, at rest
    outfits: wp.array(dtype=Outfit),
    texture: wp.array(dtype=wp.vec4),  # (people x vertices)
):
    """What is smooth enough to be known at the vertices only: the slope of the folds and the mottle of the skin."""
    index = wp.tid()
    person = index // (places.shape[0] // outfits.shape[0])
    place = places[index]
    slope = fold_slope(place, outfits[person].folds, outfits[person].seed)
    texture[index] = wp.vec4(slope[0], slope[1], slope[2], value_noise(place * 35.0) - 0.5)


@wp.func
@no_type_check
def ellipse(p: wp.vec3, x: float, y: float, half_x: float, half_y: float) -> float:
    """Approximate distance in metres inside an ellipse on the front of the body."""
    dx = (p[0] - x) / half_x
    dy = (p[1] - y) / half_y
    return (1.0 - wp.sqrt(dx * dx + dy * dy)) * wp.min(half_x, half_y)


@wp.func
@no_type_check
def shirt_colour(p: wp.vec3, o: Outfit, pixels: float, numbers: wp.array3d(dtype=wp.float32)) -> wp.vec3:
    colour = o.shirt
    side = wp.abs(p[0])
    if o.pattern == 1 or o.pattern == 2:
        along = p[1]
        if o.pattern == 2:
            along = p[0]
        phase = wp.abs(along / o.period - wp.floor(along / o.period) - 0.5) - 0.25  # below 0: a stripe
        colour = blend(colour, o.trim, cover(-phase * o.period, pixels))
    elif o.pattern == 3:
        colour = blend(colour, o.trim, cover(side - o.sleeve_x + o.period, pixels))
    elif o.pattern == 4:
        colour = blend(
            colour, o.trim, cover(wp.min(wp.min(0.045 - wp.abs(p[2]), side - 0.09), o.shoulder_y - 0.06 - p[1]), pixels)
        )
    elif o.pattern == 5:
        colour = blend(colour, o.trim, cover(0.5 * o.period - wp.abs(p[1] - o.shoulder_y + 0.14), pixels))
    elif o.pattern == 6:
        colour = blend(
            colour, o.trim, cover(0.5 * o.period - wp.abs(0.8 * p[0] + 0.6 * (p[1] - o.shoulder_y + 0.2)), pixels)
        )
    elif o.pattern == 7:
        colour = blend(colour, o.trim, cover(p[0], pixels))
    if o.number >= 0:
        # On the back at full size, on the chest small; mirrored on the back, where the left side is on the left.
        size = o.number_size
        u = -p[0] / size
        v = (o.number_y - p[1]) / size
        if p[2] > 0.0:
            size = 0.5 * size
            u = p[0] / size
            v = (o.number_y - p[1]) / size
        if wp.abs(u) < 0.5 and wp.abs(v) < 0.5:
            rows = numbers.shape[1]
            columns = numbers.shape[2]
            x = (u + 0.5) * float(columns) - 0.5
            y = (v + 0.5) * float(rows) - 0.5
            column = wp.clamp(int(wp.floor(x)), 0, columns - 2)
            row = wp.clamp(int(wp.floor(y)), 0, rows - 2)
            fx = wp.clamp(x - float(column), 0.0, 1.0)
            fy = wp.clamp(y - float(row), 0.0, 1.0)
            ink = wp.lerp(
                wp.lerp(numbers[o.number, row, column], numbers[o.number, row, column + 1], fx),
                wp.lerp(numbers[o.number, row + 1, column], numbers[o.number, row + 1, column + 1], fx),
                fy,
            )
            colour = blend(colour, o.trim, ink)
    return colour


@wp.func
@no_type_check
def paint_bare(p: wp.vec3, o: Outfit, mottle: float, pixels: float) -> Surface:
    """Colour of a point without shirt and shorts: skin, face, hair, socks and shoes; of `pixels` a metre."""
    side = wp.abs(p[0])
    s = Surface()
    s.cloth = 0.0
    s.gloss = 0.05
    colour = o.skin * (1.0 + 0.10 * mottle)
    # Face: drawn only from the front of the head.
    eye_y = o.eye[1]
    if p[1] > o.mouth[1] - 0.06 and p[2] > o.mouth[2] - 0.10:
        front = cover(p[2] - o.eye[2] + 0.045, 50.0)
        lips = ellipse(p, 0.0, o.mouth[1], 0.024, 0.0085)
        colour = blend(colour, o.lips, front * cover(lips, pixels) * 0.8)
        cheek = ellipse(wp.vec3(side, p[1], p[2]), o.eye[0] + 0.006, o.eye[1] - 0.035, 0.022, 0.02)
        colour = blend(colour, wp.cw_mul(colour, wp.vec3(1.06, 0.93, 0.92)), front * cover(cheek, 50.0))
        shadow = ellipse(wp.vec3(side, p[1], p[2]), o.eye[0], eye_y, 0.021, 0.014)
        colour = blend(colour, colour * 0.8, front * cover(shadow, 125.0))
        white = ellipse(wp.vec3(side, p[1], p[2]), o.eye[0], eye_y, 0.0145, 0.0062)
        colour = blend(colour, wp.vec3(0.62, 0.60, 0.58), front * cover(white, pixels))
        iris = ellipse(wp.vec3(side, p[1], p[2]), o.eye[0], eye_y, 0.0062, 0.0062)
        colour = blend(colour, o.iris, front * cover(iris, pixels))
        arch = eye_y + 0.019 - 5.0 * (side - o.eye[0]) * (side - o.eye[0])
        brow = wp.min(0.0036 - wp.abs(p[1] - arch), 0.020 - wp.abs(side - o.eye[0]))
        colour = blend(colour, o.brows, front * cover(brow, pixels) * 0.85)
        if o.beard > 0.0:
            jaw = wp.min(o.mouth[1] + 0.022 + 0.5 * (side - 0.02) - p[1], p[2] - o.mouth[2] + 0.085)
            jaw = wp.min(jaw, wp.max(-lips, -0.02))
            colour = blend(colour, o.hair, o.beard * cover(jaw, 33.3))
    share = hair_inside(p, o)
    if share > -0.02:
        ragged = value_noise(wp.vec3(p[0] * 420.0, p[1] * 130.0, p[2] * 130.0)) - 0.5
        share = wp.smoothstep(-0.005, 0.009, share + 0.007 * ragged)
    else:
        share = float(0.0)
    if share > 0.0:
        strand = value_noise(wp.vec3(p[0] * 260.0, p[1] * 60.0, p[2] * 90.0)) - 0.5
        colour = blend(colour, o.hair * (1.0 + 0.5 * strand), share)
        s.gloss = wp.lerp(s.gloss, 0.03, share)
    if o.headband == 1:
        share = cover(0.014 - wp.abs(p[1] - o.headband_y - 0.25 * (p[2] - o.eye[2])), pixels)
        if p[1] > eye_y - 0.1:
            colour = blend(colour, o.band, share)
            s.cloth = share
    # Legs and feet.
    if p[1] < o.sock_y + 1.0 / pixels:
        share = cover(o.sock_y - p[1], pixels)
        rib = 1.0 - 0.08 * wp.max(0.0, fast_sine(p[1] * 900.0)) * wp.clamp(1.0 - 300.0 / pixels, 0.0, 1.0)
        colour = blend(colour, o.socks * rib, share)
        s.cloth = wp.max(s.cloth, share * 0.5)
        shoe = cover(shoe_inside(p, o), pixels)
        if shoe > 0.0:
            leather = o.shoes
            # Laces on the instep, a stripe on each side.
            ahead = p[2] - o.shoe_z
            above = p[1] - o.sole_y
            stripe = wp.min(0.007 - wp.abs(ahead - 0.02 - 0.6 * above), 0.034 - above)
            leather = blend(leather, o.sole, 0.8 * cover(stripe, pixels))
            lacing = wp.min(0.033 - wp.abs(ahead - 0.088), wp.min(0.016 - wp.abs(side - o.shoe_x), above - 0.01))
            if lacing > -0.01:
                turns = ahead / 0.0145
                lace = wp.min(0.003 - 0.0145 * wp.abs(turns - wp.floor(turns) - 0.5), lacing)
                leather = blend(leather, leather * 0.75, cover(lacing, pixels))
                leather = blend(leather, wp.vec3(0.7, 0.7, 0.7), cover(lace, pixels))
            leather = blend(leather, o.sole, cover(o.sole_y - p[1], pixels))
            colour = blend(colour, leather, shoe)
            s.gloss = wp.lerp(s.gloss, 0.12, shoe)
            s.cloth = s.cloth * (1.0 - shoe)
    s.colour = colour
    return s


@wp.func
@no_type_check
def paint(p: wp.vec3, o: Outfit, mottle: float, footprint: float, numbers: wp.array3d(dtype=wp.float32)) -> Surface:
    """Colour of a point of the rest body; `footprint` is the width of a pixel there, metres."""
    pixels = 1.0 / wp.max(footprint, 0.002)
    side = wp.abs(p[0])
    share = cover(shorts_inside(p, o), pixels)
    inside = shirt_inside(p, o)
    sleeve = inside[0]
    neckline = inside[1]
    shirt_share = cover(wp.min(wp.min(sleeve, neckline), inside[2]), pixels)
    s = Surface()
    s.cloth = 0.0
    s.gloss = 0.05
    s.colour = o.skin
    if share < 1.0 and shirt_share < 1.0:  # nothing of what cloth covers shows through it
        s = paint_bare(p, o, mottle, pixels)
    colour = s.colour
    if share > 0.0:
        weave = o.shorts
        panel = 0.022 - wp.abs(p[2] - 0.01)
        if side > 0.09:
            weave = blend(weave, o.shorts_trim, cover(panel, pixels))
        edge_band = cover(0.016 - (p[1] - o.shorts_y), pixels)
        weave = blend(weave, weave * 0.82, edge_band)
        colour = blend(colour, weave, share)
        s.cloth = wp.max(s.cloth, share)
        s.gloss = wp.lerp(s.gloss, 0.012, share)
    share = shirt_share
    if share > 0.0:
        weave = shirt_colour(p, o, pixels, numbers)
        collar = cover(0.014 - neckline, pixels)
        weave = blend(weave, o.trim, collar)
        hem = wp.max(cover(0.012 - (p[1] - o.hem_y), pixels), cover(0.012 - sleeve, pixels))
        weave = blend(weave, weave * 0.85, hem)
        colour = blend(colour, weave, share)
        s.cloth = wp.max(s.cloth, share)
        s.gloss = wp.lerp(s.gloss, 0.012, share)
    if side > o.band_from and side < o.band_to:
        colour = o.band
        s.cloth = 1.0
    s.colour = colour
    return s


@wp.func
@no_type_check
def texture_colour(texture: wp.array3d(dtype=wp.vec3), person: int, uv: wp.vec2) -> wp.vec3:
    """Bilinear colour of a person's texture."""
    rows = texture.shape[1]
    columns = texture.shape[2]
    x = wp.clamp(uv[0] * float(columns) - 0.5, 0.0, float(columns) - 1.001)
    y = wp.clamp((1.0 - uv[1]) * float(rows) - 0.5, 0.0, float(rows) - 1.001)
    column = int(x)
    row = int(y)
    fx = x - float(column)
    return wp.lerp(
        wp.lerp(texture[person, row, column], texture[person, row, column + 1], fx),
        wp.lerp(texture[person, row + 1, column], texture[person, row + 1, column + 1], fx),
        y - float(row),
    )
