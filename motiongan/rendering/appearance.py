"""How people look: skin, hair and kit, drawn from a seed, and where on the rest body each of them begins.

Nothing here depends on a mesh's texture coordinates: borders are planes and ellipses in the rest pose (T-pose), placed
by the body's own joints, so that every body in SMPL's form can be dressed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from motiongan.body.skeleton import JOINT
from motiongan.body.smpl import Body

Colour = tuple[float, float, float]
Point = tuple[float, float, float]

# Skin along the individual typology angle (Chardon et al. 1991: ITA = atan((L* - 50) / b*)), in degrees, with the L*
# that follows from it; a* and b* are typical of the six classes very light, light, intermediate, tan, brown and dark.
_ITA_CLASSES = (-58.0, -30.0, 10.0, 28.0, 41.0, 55.0, 63.0)  # dark, brown, tan, intermediate, light, very light
_ITA = np.array([-60.0, -45.0, -10.0, 19.0, 35.0, 48.0, 60.0])
_A = np.array([7.5, 9.0, 12.5, 12.5, 11.5, 10.5, 9.0])
_B = np.array([10.0, 12.5, 18.5, 20.0, 18.0, 16.0, 13.5])

_HAIR = {
    "black": (0.045, 0.04, 0.04),
    "dark brown": (0.14, 0.09, 0.065),
    "brown": (0.28, 0.18, 0.11),
    "fair": (0.62, 0.48, 0.28),
    "red": (0.45, 0.2, 0.1),
    "grey": (0.55, 0.54, 0.53),
}
_IRIS = ((0.14, 0.08, 0.05), (0.1, 0.06, 0.04), (0.2, 0.27, 0.33), (0.2, 0.24, 0.14))

# Kit colours, sRGB.
_CLOTH = {
    "white": (0.93, 0.93, 0.92),
    "black": (0.07, 0.07, 0.08),
    "navy": (0.07, 0.1, 0.25),
    "royal": (0.1, 0.25, 0.7),
    "sky": (0.45, 0.7, 0.9),
    "red": (0.78, 0.1, 0.12),
    "maroon": (0.4, 0.07, 0.13),
    "orange": (0.93, 0.45, 0.1),
    "yellow": (0.95, 0.82, 0.15),
    "green": (0.08, 0.45, 0.22),
    "lime": (0.65, 0.85, 0.2),
    "purple": (0.35, 0.15, 0.5),
    "pink": (0.92, 0.4, 0.6),
    "grey": (0.5, 0.51, 0.53),
    "charcoal": (0.2, 0.21, 0.23),
    "teal": (0.05, 0.45, 0.48),
}
_PATTERNS = ("plain", "hoops", "stripes", "contrast sleeves", "side panels", "chest band", "sash", "halves")
_PATTERN_SHARES = (0.34, 0.09, 0.09, 0.14, 0.14, 0.1, 0.05, 0.05)


@dataclass(frozen=True)
class Landmarks:
    """Places on the mean rest body by which clothes are cut, metres (Y up, facing +Z, left side +X)."""

    shoulder: Point  # left joints
    elbow: Point
    wrist: Point
    hip: Point
    knee: Point
    ankle: Point
    ball: Point
    neck: Point
    crotch_y: float
    waist_y: float
    sole_y: float
    top_y: float  # of the head
    nose: Point  # its tip
    eye: Point  # left one

    @classmethod
    def of(cls, body: Body) -> "Landmarks":
        """The landmarks of a body's mean shape, from its joints and the outline of its mesh."""
        vertices = body.v_template.cpu().numpy().astype(np.float64)
        joints = body.bones.joint_template.cpu().numpy().astype(np.float64)
        head = vertices[body.part.cpu().numpy() == JOINT["head"]]

        def place(name: str) -> Point:
            x, y, z = joints[JOINT[name]]
            return float(x), float(y), float(z)

        between = np.abs(vertices[:, 0]) < 0.012
        below = vertices[between & (vertices[:, 1] < joints[JOINT["pelvis"], 1]), 1]
        hip_y = float(joints[JOINT["left_hip"], 1])
        top = float(vertices[:, 1].max())
        # A body whose file names its landmarks says where the face is; else the nose is what sticks out.
        skin = {name: vertices[at] for name, at in zip(body.keypoint_names, body.keypoint_vertices.tolist())}
        tip = skin.get("nose", head[head[:, 2].argmax()] if len(head) else joints[JOINT["head"]])
        half_width = float(np.abs(head[:, 0]).max()) if len(head) else 0.08
        eye = skin.get("left_eye", np.array([0.36 * half_width, tip[1] + 0.27 * (top - tip[1]), tip[2] - 0.028]))
        return cls(
            shoulder=place("left_shoulder"),
            elbow=place("left_elbow"),
            wrist=place("left_wrist"),
            hip=place("left_hip"),
            knee=place("left_knee"),
            ankle=place("left_ankle"),
            ball=place("left_foot"),
            neck=place("neck"),
            crotch_y=float(below.min()) if len(below) else hip_y - 0.09,
            waist_y=float(0.35 * joints[JOINT["pelvis"], 1] + 0.65 * joints[JOINT["spine1"], 1]),
            sole_y=float(vertices[:, 1].min()),
            top_y=top,
            nose=(float(tip[0]), float(tip[1]), float(tip[2])),
            eye=(abs(float(eye[0])), float(eye[1]), float(eye[2])),
        )


@dataclass(frozen=True)
class Kit:
    """The clothes of a team, sRGB colours in [0, 1]; lengths are shares of the limb that is covered."""

    shirt: Colour
    trim: Colour
    shorts: Colour
    shorts_trim: Colour
    socks: Colour
    pattern: str
    period: float  # metres
    sleeve: float  # 0 singlet, 0.5 to the elbow, 1 to the wrist
    leg: float  # 0 briefs, 0.5 to the knee, 1 to the ankle
    sock: float  # share of the shank
    vee: float  # metres from the neck joint down to the tip of the V, 0 = round neck
    tight: bool


@dataclass(frozen=True)
class Look:
    """One person's skin, hair and kit: all that is drawn at random about an appearance. Colours are sRGB in [0, 1]."""

    ita: float  # degrees, individual typology angle of the skin
    skin: Colour
    hair: Colour
    iris: Colour
    bald: bool
    hairline: float  # metres that it lies higher than usual
    hair_height: float  # metres
    beard: float  # 0 none .. 1 full
    shoes: Colour
    sole: Colour
    kit: Kit
    number: int | None
    wristbands: bool
    headband: bool
    seed: float  # of the folds

    def as_dict(self) -> dict[str, Any]:
        """For the manifest."""
        return _rounded(asdict(self))


def draw_kit(*, random: np.random.Generator) -> Kit:
    """A team's clothes: singlets to long sleeves, briefs to leggings, in colours that stand apart."""
    names = list(_CLOTH)

    def pick(*apart: str) -> str:
        """A colour that is told from the others by eye: their luminances or hues differ."""
        choices = [name for name in names if all(_distance(_CLOTH[name], _CLOTH[other]) > 0.35 for other in apart)]
        return str(random.choice(choices or names))

    shirt = pick()
    trim = pick(shirt)
    shorts = str(random.choice([shirt, trim, pick(), "black", "navy", "white"]))
    sleeve = float(random.choice([0.0, 0.22, 0.34, 0.42, 1.0], p=[0.22, 0.16, 0.3, 0.2, 0.12]))
    leg = float(random.choice([0.1, 0.28, 0.42, 0.62, 1.0], p=[0.08, 0.3, 0.32, 0.08, 0.22]))
    return Kit(
        shirt=_shade(_CLOTH[shirt], random),
        trim=_shade(_CLOTH[trim], random),
        shorts=_shade(_CLOTH[shorts], random),
        shorts_trim=_shade(_CLOTH[str(random.choice([trim, shirt, shorts, pick(shorts)]))], random),
        socks=_shade(_CLOTH[str(random.choice(["white", "white", "black", shirt, trim]))], random),
        pattern=str(random.choice(_PATTERNS, p=_PATTERN_SHARES)),
        period=float(random.uniform(0.06, 0.14)),
        sleeve=sleeve,
        leg=leg,
        sock=float(random.choice([0.08, 0.2, 0.4, 0.82], p=[0.35, 0.25, 0.15, 0.25])),
        vee=float(random.choice([0.0, 0.0, 0.1])),
        tight=bool(leg in (0.1, 1.0) or random.random() < 0.25),
    )


def draw_look(kit: Kit, gender: str = "neutral", *, random: np.random.Generator) -> Look:
    """One person in this kit. Each of the six classes of skin from very light to dark is as likely."""
    kind = int(random.integers(len(_ITA_CLASSES) - 1))
    ita = float(random.uniform(_ITA_CLASSES[kind], _ITA_CLASSES[kind + 1]))
    shares = (0.62, 0.24, 0.02, 0.0, 0.0, 0.12) if ita < 15 else (0.2, 0.26, 0.24, 0.16, 0.05, 0.09)
    hair = str(random.choice(list(_HAIR), p=shares))
    man = gender == "male" or (gender != "female" and random.random() < 0.5)
    bald = bool(random.random() < (0.12 if man else 0.01))
    return Look(
        ita=ita,
        skin=skin_colour(ita),
        hair=_shade(_HAIR[hair], random),
        iris=_IRIS[int(random.integers(2 if ita < 15 else len(_IRIS)))],
        bald=bald,
        hairline=float(random.uniform(-0.008, 0.015)),
        hair_height=float(random.uniform(0.003, 0.022)),
        beard=float(random.choice([0.2, 0.4, 0.7])) if man and random.random() < 0.4 else 0.0,
        shoes=_shade(_CLOTH[str(random.choice(list(_CLOTH)))], random),
        sole=_shade(_CLOTH[str(random.choice(["white", "white", "white", "black", "grey", "lime", "orange"]))], random),
        kit=kit,
        number=int(random.integers(1, 100)) if random.random() < 0.6 else None,
        wristbands=bool(kit.sleeve < 1 and random.random() < 0.15),
        headband=bool(not bald and random.random() < 0.1),
        seed=float(random.random()),
    )


def draw_looks(genders: list[str], *, random: np.random.Generator) -> list[Look]:
    """Looks for the people of one scene: two teams whose shirts differ."""
    teams = [draw_kit(random=random) for _ in range(2)]
    for _ in range(20):
        if _distance(teams[0].shirt, teams[1].shirt) > 0.4:
            break
        teams[1] = draw_kit(random=random)
    return [draw_look(teams[index % 2], gender, random=random) for index, gender in enumerate(genders)]


def skin_colour(ita: float) -> Colour:
    """sRGB colour of skin with this individual typology angle (degrees)."""
    b = float(np.interp(ita, _ITA, _B))
    return _lab_to_srgb(50.0 + b * float(np.tan(np.radians(ita))), float(np.interp(ita, _ITA, _A)), b)


def outfit_values(look: Look, marks: Landmarks) -> Mapping[str, Any]:
    """The fields of the kernels' `Outfit`: linear colours, and the borders in metres on the rest body."""
    kit = look.kit
    skin = linear(look.skin)
    arm = marks.wrist[0] - marks.shoulder[0]
    thigh, shank = marks.crotch_y - marks.knee[1], marks.knee[1] - marks.ankle[1]
    head = marks.top_y - marks.nose[1]
    mouth_y = marks.nose[1] - 0.2 * head
    singlet = kit.sleeve == 0
    if kit.leg <= 0.5:
        shorts_y = marks.crotch_y - kit.leg / 0.5 * (thigh - 0.02)
    else:
        shorts_y = marks.knee[1] - (kit.leg - 0.5) / 0.5 * (shank - 0.05)
    front = (0.0, marks.top_y - (0.3 * head - look.hairline), marks.nose[2] - 0.03)
    back = (0.0, marks.nose[1] - 0.28 * head, marks.neck[2] - 0.06)
    return {
        "skin": skin,
        "lips": _mix(skin, (0.30, 0.07, 0.07), 0.45),
        "hair": linear(look.hair),
        "brows": _mix(linear(look.hair), skin, 0.25),
        "iris": linear(look.iris),
        "shirt": linear(kit.shirt),
        "trim": linear(kit.trim),
        "shorts": linear(kit.shorts),
        "shorts_trim": linear(kit.shorts_trim),
        "socks": linear(kit.socks),
        "shoes": linear(look.shoes),
        "sole": linear(look.sole),
        "band": linear(kit.trim),
        "sleeve_x": marks.shoulder[0] - 0.012 if singlet else marks.shoulder[0] + kit.sleeve * arm,
        "sleeve_slope": -0.25 if singlet else 0.0,
        "shoulder_y": marks.shoulder[1],
        "hem_y": marks.crotch_y + (0.14 if kit.tight else 0.02),
        "neck_y": marks.neck[1] + 0.055,
        "neck_z": marks.neck[2] + (0.035 if singlet else 0.015),
        "neck_radius": 0.105 if singlet else 0.078,
        "hole_y": marks.neck[1] - (0.13 if singlet else 0.08),
        "vee_y": marks.neck[1] - kit.vee if kit.vee > 0 else -9.0,
        "waist_y": marks.waist_y,
        "shorts_y": shorts_y,
        "shirt_ease": 0.003 if kit.tight else 0.012,
        "shorts_ease": 0.003 if kit.tight else 0.017,
        "hair_height": look.hair_height,
        "sock_y": marks.ankle[1] + kit.sock * shank,
        "shoe_y": marks.ankle[1] - 0.012,
        "shoe_tilt": 0.12,
        "shoe_x": 0.3 * marks.ankle[0] + 0.7 * marks.ball[0],
        "shoe_z": marks.ankle[2],
        "sole_y": marks.sole_y + 0.019,
        "band_from": marks.wrist[0] - 0.07 if look.wristbands else 9.0,
        "band_to": marks.wrist[0] - 0.015,
        "pattern": _PATTERNS.index(kit.pattern),
        "period": 0.1 if kit.pattern == "contrast sleeves" else kit.period,
        "number_y": marks.shoulder[1] - 0.17,
        "number_size": 0.24,
        "hair_point": front,
        "hair_normal": _unit((0.0, 0.8, -0.6)),
        "hair_back": back,
        "hair_back_normal": _unit((0.0, 1.0, -0.15)),
        "bald": int(look.bald),
        "headband_y": marks.eye[1] + 0.05,
        "headband": int(look.headband),
        "eye": marks.eye,
        "mouth": (0.0, mouth_y, marks.nose[2] - 0.01),
        "beard": look.beard,
        "folds": 0.00004 if kit.tight else 0.00016,
        "seed": look.seed,
    }


def number_table(looks: list[Look], size: int = 48) -> ndarray:
    """(people, size, size) ink in [0, 1] of the numbers on the shirts; empty where there is none."""
    from PIL import Image, ImageDraw, ImageFont

    table = np.zeros((len(looks), size, size), np.float32)
    for row, look in enumerate(looks):
        if look.number is not None:
            picture = Image.new("L", (size, size))
            font = ImageFont.load_default(size=int(size * 0.8))
            ImageDraw.Draw(picture).text(
                (size / 2, size / 2), str(look.number), fill=255, font=font, anchor="mm", stroke_width=2
            )
            table[row] = np.asarray(picture, np.float32) / 255
    return table


def linear(colour: Colour | ndarray) -> Colour:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    red, green, blue = srgb_to_linear(np.asarray(colour, np.float64))
    return float(red), float(green), float(blue)


def srgb_to_linear(values: ndarray) -> ndarray:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(values: ndarray) -> ndarray:
    """Linear light in [0, 1] to sRGB (IEC 61966-2-1)."""
    values = np.clip(values, 0.0, 1.0)
    return np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)


def _lab_to_srgb(lightness: float, a: float, b: float) -> Colour:
    """CIE L*a*b* (D65) to sRGB."""
    fy = (lightness + 16) / 116
    f = np.array([fy + a / 500, fy, fy - b / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * np.array([0.95047, 1.0, 1.08883])
    matrix = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    red, green, blue = linear_to_srgb(matrix @ xyz)
    return float(red), float(green), float(blue)


def _shade(colour: Colour, random: np.random.Generator) -> Colour:
    """The colour a little lighter or darker, as dyes differ."""
    red, green, blue = np.clip(np.asarray(colour) * random.uniform(0.85, 1.1) + random.uniform(-0.02, 0.02, 3), 0, 1)
    return float(red), float(green), float(blue)


def _distance(one: Colour, other: Colour) -> float:
    return float(np.linalg.norm(np.asarray(one) - np.asarray(other)))


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (1 - share) * np.asarray(one) + share * np.asarray(other)
    return float(red), float(green), float(blue)


def _unit(vector: Point) -> Point:
    x, y, z = np.asarray(vector) / np.linalg.norm(vector)
    return float(x), float(y), float(z)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
