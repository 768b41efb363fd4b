"""The athletes' specification (data/athletes.yaml): what it may say, typed and checked."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import yaml
from jaxtyping import Float
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from motiongan.config import shipped
from motiongan.errors import MotionganError, did_you_mean

SPEC_FILE = "data/athletes.yaml"
FORMAT = "motiongan.athletes"
VERSION = 1

# Joint angles of the midline, and of the limbs (one per side).
MIDLINE_ANGLES: tuple[str, ...] = (
    "pelvis_tilt",
    "pelvis_list",
    "pelvis_rotation",
    "trunk_flexion",
    "trunk_bend",
    "trunk_rotation",
    "head_flexion",
)
LIMB_ANGLES: tuple[str, ...] = (
    "hip_flexion",
    "hip_abduction",
    "hip_rotation",
    "knee_flexion",
    "ankle_dorsiflexion",
    "shoulder_flexion",
    "shoulder_abduction",
    "shoulder_horizontal",
    "shoulder_rotation",
    "elbow_flexion",
    "forearm_rotation",
    "wrist_flexion",
)
SIDES: tuple[str, ...] = ("left", "right")

# All angles of a posture: the order of the last axis wherever angles are arrays.
ANGLES: tuple[str, ...] = MIDLINE_ANGLES + tuple(f"{side}_{angle}" for side in SIDES for angle in LIMB_ANGLES)
ANGLE: dict[str, int] = {name: index for index, name in enumerate(ANGLES)}
# Of the midline angles these turn round in a mirror.
_MIRROR_SIGN = {"pelvis_list": -1.0, "pelvis_rotation": -1.0, "trunk_bend": -1.0, "trunk_rotation": -1.0}

# Curves are tabulated this finely; with linear interpolation between, the error stays below 1e-5 of the amplitude.
CURVE_SAMPLES = 2000
# Width, as a fraction of the cycle, of the Gaussian that rounds the corners of the interpolated curve's slope.
_ROUNDING = 0.012

_Positive = Annotated[float, Field(gt=0)]
_Spread = Annotated[float, Field(ge=0, le=0.3)]
_Percent = Annotated[float, Field(ge=0, le=100)]
_Interval = tuple[_Percent, Annotated[float, Field(ge=0, le=200)]]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FootContacts(_Strict):
    """When one foot stands, in percent of the cycle.

    down   from strike to toe-off; past 100 it goes on in the next cycle; [0, 100] is always
    flat   heel and ball both on the ground
    """

    down: list[_Interval]
    flat: list[_Interval]

    @model_validator(mode="after")
    def _intervals_fit(self) -> "FootContacts":
        for name, intervals in (("down", self.down), ("flat", self.flat)):
            for start, end in intervals:
                if not start < end <= start + 100:
                    raise ValueError(f"`{name}` [{start:g}, {end:g}] must end after its start, at most 100 later")
        phase = (np.arange(1000) + 0.5) / 1000
        if (inside(phase, self.flat) & ~inside(phase, self.down)).any():
            raise ValueError("`flat` reaches beyond `down`")
        return self


class Action(_Strict):
    """How one action moves. Percents of a cycle, degrees, seconds, metres; see the comments of the file."""

    sources: list[str]
    pattern: Literal["alternating", "together", "one_sided"]
    cycle: _Positive
    start: tuple[float, float] = (0.0, 100.0)
    tempo: _Spread
    amplitude: _Spread
    balance: _Positive
    contacts: dict[Literal["both", "left", "right"], FootContacts]
    curves: dict[str, float | dict[_Percent, float]]

    @field_validator("curves")
    @classmethod
    def _angles_are_known(cls, curves: dict[str, Any]) -> dict[str, Any]:
        known = [*ANGLES, *LIMB_ANGLES]
        for name, curve in curves.items():
            if name not in known:
                raise ValueError(f"unknown angle `{name}`{did_you_mean(name, known)}")
            if isinstance(curve, dict):
                if len(curve) < 2:
                    raise ValueError(f"curve `{name}` needs at least two points, or a plain number")
                if 0.0 in curve and 100.0 in curve:
                    raise ValueError(f"curve `{name}` names 0 and 100, which are the same moment of the cycle")
            if name in LIMB_ANGLES and any(f"{side}_{name}" in curves for side in SIDES):
                raise ValueError(f"`{name}` is given for both sides and again for one")
        return curves

    @model_validator(mode="after")
    def _sides_fit(self) -> "Action":
        if set(self.contacts) not in ({"both"}, {"left", "right"}):
            raise ValueError("`contacts` must name either `both`, or `left` and `right`")
        sided = "left" in self.contacts or any(name.startswith(("left_", "right_")) for name in self.curves)
        if sided and self.pattern != "one_sided":
            raise ValueError(f"left and right may differ only in a one_sided action, not in a {self.pattern} one")
        return self

    def angle_table(self) -> Float[ndarray, "samples angles"]:
        """The curves as radians at `CURVE_SAMPLES` equidistant phases of the cycle, order of `ANGLES`; right-sided."""
        table = np.zeros((CURVE_SAMPLES, len(ANGLES)))
        for name, curve in self.curves.items():
            values = np.deg2rad(_periodic_curve(curve))
            for target in [name] if name in ANGLE else [f"{side}_{name}" for side in SIDES]:
                lag = CURVE_SAMPLES // 2 if self.pattern == "alternating" and target.startswith("left_") else 0
                table[:, ANGLE[target]] = np.roll(values, lag)
        return table

    def contact_intervals(self) -> tuple[FootContacts, FootContacts]:
        """Contacts of the left and of the right foot, right-sided."""
        if "both" not in self.contacts:
            return self.contacts["left"], self.contacts["right"]
        right = self.contacts["both"]
        if self.pattern != "alternating":
            return right, right
        later = {
            name: [((start + 50) % 100, (start + 50) % 100 + end - start) for start, end in intervals]
            for name, intervals in (("down", right.down), ("flat", right.flat))
        }
        return FootContacts(down=later["down"], flat=later["flat"]), right


class Spec(_Strict):
    """The whole specification: postural differences between athletes (degrees), references, actions."""

    format: Literal["motiongan.athletes"]
    version: Literal[1]
    style: dict[str, Annotated[float, Field(ge=0)]]
    sources: dict[str, str]
    actions: Annotated[dict[str, Action], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_known(self) -> "Spec":
        known = [*MIDLINE_ANGLES, *LIMB_ANGLES]
        for name in self.style:
            if name not in known:
                raise ValueError(f"style: unknown angle `{name}`{did_you_mean(name, known)}")
        for name, action in self.actions.items():
            for source in action.sources:
                if source not in self.sources:
                    raise ValueError(f"actions.{name}: unknown source `{source}`{did_you_mean(source, self.sources)}")
        return self


def load_spec(path: str | Path | None = None) -> Spec:
    """The specification of a YAML file; None is the one that comes with motiongan.

    Raises MotionganError with the file, the place in it and what is wrong.
    """
    file = shipped(SPEC_FILE) if path is None else Path(path)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise MotionganError(f"{file}{line}: not valid YAML: {getattr(error, 'problem', error)}") from None
    except OSError as error:
        raise MotionganError(f"{file}: cannot be read: {error.strerror}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise MotionganError(f"{file}: not a specification of athletes; its first line would be `format: {FORMAT}`")
    if content.get("version") != VERSION:
        raise MotionganError(f"{file}: version {content.get('version')} of the format, this motiongan reads {VERSION}")
    try:
        return Spec.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        message = first["msg"].removeprefix("Value error, ")
        raise MotionganError(f"{file}: {place}: {message[:1].lower()}{message[1:]}") from None


def inside(phase: Float[ndarray, "*batch"], intervals: Iterable[tuple[float, float]]) -> ndarray:
    """True where a phase (in cycles, any number of them) lies in one of the intervals (percent)."""
    result = np.zeros(phase.shape, dtype=bool)
    for start, end in intervals:
        result |= np.mod(phase * 100 - start, 100) < end - start
    return result


def mirror_angles(angles: Float[ndarray, "*batch angles"]) -> Float[ndarray, "*batch angles"]:
    """The angles of the mirrored posture: left and right swapped, turns of the midline reversed."""
    order = [ANGLE[_other_side(name)] for name in ANGLES]
    return angles[..., order] * np.array([_MIRROR_SIGN.get(name, 1.0) for name in ANGLES])


def _other_side(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    return "left_" + name.removeprefix("right_") if name.startswith("right_") else name


def _periodic_curve(curve: float | dict[float, float]) -> ndarray:
    """A curve at `CURVE_SAMPLES` phases: monotone between its points (PCHIP), then rounded; periodic."""
    if not isinstance(curve, dict):
        return np.full(CURVE_SAMPLES, float(curve))
    from scipy.interpolate import PchipInterpolator

    points = sorted((percent % 100, degrees) for percent, degrees in curve.items())
    phase = np.array([percent for percent, _ in points]) / 100
    value = np.array([degrees for _, degrees in points])
    wrapped = PchipInterpolator(np.concatenate([phase - 1, phase, phase + 1]), np.tile(value, 3))
    samples = wrapped(np.arange(CURVE_SAMPLES) / CURVE_SAMPLES)
    frequency = np.fft.rfftfreq(CURVE_SAMPLES, d=1 / CURVE_SAMPLES)
    gaussian = np.exp(-0.5 * (2 * np.pi * frequency * _ROUNDING) ** 2)
    return np.fft.irfft(np.fft.rfft(samples) * gaussian, n=CURVE_SAMPLES)
