"""Change of frame rate that knows rotations: low-pass before decimation, cubic interpolation along geodesics."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import roma
import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.motion.clip import Clip

# The low-pass passes everything below 0.28 x the new rate, halves 0.40 x and stops 0.52 x, so that what would fold
# back (above half the new rate) is gone. At 30 Hz: 8.4, 12 and 15.6 Hz; human motion has little beyond 6 to 10 Hz.
_CUTOFF = 0.40
_TRANSITION = 0.24
_STOP_DB = 45.0

# Rates that differ by less than this need no low-pass: nothing of weight lies between the two Nyquist frequencies.
_SAME_RATE = 0.05


def resample(clip: Clip, frame_rate: float) -> Clip:
    """The clip at another frame rate (Hz); frame 0 stays where it is, frame k lies at k / frame_rate seconds.

    Going down, rotations and translation pass a zero-phase low-pass first; then local rotations are interpolated in
    the tangent space of the nearest earlier frame (a cubic through four frames, exact at frames and on uniform
    rotation), the translation by the same cubic. No frame lies after the clip's last one.
    """
    if not frame_rate > 0:
        raise ValueError(f"frame_rate is {frame_rate}, expected a positive number of Hz")
    if frame_rate == clip.frame_rate or clip.num_frames < 2:
        return replace(clip, frame_rate=float(frame_rate))
    rotations = roma.rotvec_to_unitquat(torch.from_numpy(clip.poses).double())
    trans = torch.from_numpy(clip.trans).double()
    steps = clip.frame_rate / frame_rate
    every = round(steps) if abs(steps - round(steps)) < 1e-9 else 1  # 120 to 30 Hz: each fourth frame is asked for
    if frame_rate < clip.frame_rate * (1 - _SAME_RATE):
        kernel = low_pass_kernel(1 / steps)
        rotations, trans = smooth_rotations(rotations, kernel, every), smooth_positions(trans, kernel, every)
    if every == 1:
        num_frames = int(np.floor((clip.num_frames - 1) / steps + 1e-6)) + 1
        times = torch.arange(num_frames, dtype=torch.float64) * steps
        rotations, trans = interpolate_rotations(rotations, times), interpolate_positions(trans, times)
    poses = roma.unitquat_to_rotvec(rotations).float().numpy()
    return replace(clip, poses=poses, trans=trans.float().numpy(), frame_rate=float(frame_rate))


def at_speed(clip: Clip, speed: float) -> Clip:
    """The clip played at `speed` times its own speed, at its own frame rate."""
    return clip if speed == 1 else replace(resample(clip, clip.frame_rate / speed), frame_rate=clip.frame_rate)


@lru_cache(maxsize=16)
def low_pass_kernel(ratio: float) -> Float[Tensor, "taps"]:
    """Symmetric FIR low-pass for decimation to `ratio` (< 1) of the rate: an odd number of taps with sum 1.

    Kaiser-windowed sinc (Oppenheim and Schafer, Discrete-Time Signal Processing, section on FIR design by windowing:
    taps = (A - 7.95) / (2.285 * width), beta from A), A = 45 dB.
    """
    from scipy.signal import firwin, kaiser_beta

    width = 2 * np.pi * _TRANSITION * ratio
    half = int(np.ceil((_STOP_DB - 7.95) / (2.285 * width) / 2))
    taps = firwin(2 * half + 1, 2 * _CUTOFF * ratio, window=("kaiser", kaiser_beta(_STOP_DB)))
    return torch.from_numpy(np.ascontiguousarray(taps))


def smooth_rotations(
    rotations: Float[Tensor, "frames *joints 4"], kernel: Float[Tensor, "taps"], every: int = 1
) -> Float[Tensor, "kept *joints 4"]:
    """Unit quaternions (xyzw) after a symmetric filter over the frames; zero phase, exact on uniform rotation.

    every   compute only frames 0, every, 2 every, ...
    The components are filtered with continuous signs and normalised: a turn at constant speed about one axis is a
    circle in quaternion space, which a symmetric filter only scales. Beyond its ends the motion continues by point
    reflection on the rotation group, q(-t) = q(0) q(t)^-1 q(0), so that ends neither slow down nor jump.
    """
    count, half = len(rotations), len(kernel) // 2
    rotations = continuous_signs(rotations)
    before = torch.arange(half, 0, -1).clamp(max=count - 1)
    after = (count - 1 - torch.arange(1, half + 1)).clamp(min=0)
    first, last = rotations[:1], rotations[-1:]
    padded = torch.cat([_reflect(rotations[before], first), rotations, _reflect(rotations[after], last)])
    smoothed = _convolve(continuous_signs(padded), kernel, every)
    return torch.nn.functional.normalize(smoothed, dim=-1)


def smooth_positions(
    positions: Float[Tensor, "frames *axes"], kernel: Float[Tensor, "taps"], every: int = 1
) -> Float[Tensor, "kept *axes"]:
    """Vectors after a symmetric filter over the frames; zero phase, ends continued by point reflection.

    every   compute only frames 0, every, 2 every, ...
    """
    count, half = len(positions), len(kernel) // 2
    before = torch.arange(half, 0, -1).clamp(max=count - 1)
    after = (count - 1 - torch.arange(1, half + 1)).clamp(min=0)
    padded = torch.cat([2 * positions[:1] - positions[before], positions, 2 * positions[-1:] - positions[after]])
    return _convolve(padded, kernel, every)


def interpolate_rotations(
    rotations: Float[Tensor, "frames *joints 4"], times: Float[Tensor, "samples"]
) -> Float[Tensor, "samples *joints 4"]:
    """Unit quaternions (xyzw) at fractional frame numbers within [0, frames - 1].

    With w_k = log(q_i^-1 q_k) for the frames k = i-1 .. i+2 around i <= t <= i+1, q(t) = q_i exp(p(t)), p the cubic
    through the four w_k; at the clip's ends the missing frame is continued by point reflection.
    """
    start, weights = _cubic(times, len(rotations))
    base = rotations[start]
    neighbours = []
    for step in (-1, 0, 1, 2):
        frame = start + step
        inside = rotations[frame.clamp(0, len(rotations) - 1)]
        low = _reflect(rotations[(-frame).clamp(0, len(rotations) - 1)], rotations[:1])
        high = _reflect(rotations[(2 * (len(rotations) - 1) - frame).clamp(0, len(rotations) - 1)], rotations[-1:])
        shape = (-1,) + (1,) * (rotations.ndim - 1)
        value = torch.where((frame < 0).view(shape), low, inside)
        neighbours.append(torch.where((frame >= len(rotations)).view(shape), high, value))
    tangent = torch.zeros_like(base[..., :3])
    inverse = roma.quat_conjugation(base)
    for weight, neighbour in zip(weights.unbind(-1), neighbours):
        step_vector = roma.unitquat_to_rotvec(roma.quat_product(inverse, neighbour))
        tangent = tangent + weight.view((-1,) + (1,) * (tangent.ndim - 1)) * step_vector
    return roma.quat_product(base, roma.rotvec_to_unitquat(tangent))


def interpolate_positions(
    positions: Float[Tensor, "frames *axes"], times: Float[Tensor, "samples"]
) -> Float[Tensor, "samples *axes"]:
    """Vectors at fractional frame numbers within [0, frames - 1], by the cubic through the four frames around."""
    count = len(positions)
    start, weights = _cubic(times, count)
    # One more frame at each end, continued by point reflection.
    second, before_last = positions[min(1, count - 1)], positions[max(count - 2, 0)]
    padded = torch.cat([(2 * positions[0] - second)[None], positions, (2 * positions[-1] - before_last)[None]])
    result = torch.zeros_like(positions[start])
    for step, weight in zip((-1, 0, 1, 2), weights.unbind(-1)):
        frame = (start + step + 1).clamp(max=count + 1)
        result = result + weight.view((-1,) + (1,) * (positions.ndim - 1)) * padded[frame]
    return result


def continuous_signs(rotations: Float[Tensor, "frames *joints 4"]) -> Float[Tensor, "frames *joints 4"]:
    """The same rotations with each quaternion on the side of its predecessor (q and -q are one rotation)."""
    agree = (rotations[1:] * rotations[:-1]).sum(-1, keepdim=True) >= 0
    flips = torch.where(agree, 1.0, -1.0).to(rotations.dtype)
    return torch.cat([rotations[:1], rotations[1:] * flips.cumprod(0)])


def _cubic(times: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Frame before each time and the Lagrange weights of frames -1, 0, 1, 2 around it."""
    start = times.floor().long().clamp(0, max(count - 2, 0))
    u = times - start
    u = torch.where(u.abs() < 1e-9, torch.zeros_like(u), u)
    weights = torch.stack(
        [
            -u * (u - 1) * (u - 2) / 6,
            (u + 1) * (u - 1) * (u - 2) / 2,
            -(u + 1) * u * (u - 2) / 2,
            (u + 1) * u * (u - 1) / 6,
        ],
        dim=-1,
    )
    return start, weights


def _reflect(rotations: Tensor, centre: Tensor) -> Tensor:
    """Point reflection on the rotation group: the geodesic from q through `centre`, as far again beyond it."""
    centre = centre.expand_as(rotations)
    return roma.quat_product(roma.quat_product(centre, roma.quat_conjugation(rotations)), centre)


def _convolve(padded: Tensor, kernel: Tensor, every: int) -> Tensor:
    """Valid convolution with a symmetric kernel along the first axis, of which each `every`-th value is computed."""
    windows = padded.reshape(len(padded), -1).unfold(0, len(kernel), every)
    return (windows @ kernel.to(padded.dtype)).reshape(-1, *padded.shape[1:])
