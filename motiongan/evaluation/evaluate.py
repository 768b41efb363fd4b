"""Generated motion beside held-out real motion, against the training clips: one table of figures per action."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import roma
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from motiongan.body.anatomy import centre_of_mass, joint_range_violation
from motiongan.body.kinematics import Skeleton, forward_kinematics
from motiongan.body.skeleton import NUM_MOVING_JOINTS
from motiongan.body.smpl import Body, load_body
from motiongan.errors import MotionganError
from motiongan.evaluation import metrics
from motiongan.evaluation.recognizer import recognizer_inputs, train_recognizer
from motiongan.losses.kinematic import ground_clearance, jerk
from motiongan.motion.clip import Clip
from motiongan.motion.features import heading_of

SHORTEST = 0.6  # s: a rest of a clip shorter than this is no window of its own
MATCH_LENGTH = 0.8  # s: what is compared in the search for the nearest training motion
_MATCH_STEP = 2  # only every second frame of it is looked at, and it may start at every second frame
_FID_DRAWS = 5

OVERALL = "overall"
Figures = dict[str, float]


@dataclass(frozen=True)
class PosedWindows:
    """Clips cut to windows of one length and posed on their own bodies. Metres, radians; padded rows repeat a frame.

    joints, soles    world positions
    mass_centre      of the whole body;  clearance   height of its lowest part above the ground
    violation        radians outside the joints' ranges of motion
    heading, leg_length   to make it free of direction and size
    action_ids       index into the evaluation's actions
    """

    joints: Float[Tensor, "windows frames 24 3"]
    soles: Float[Tensor, "windows frames 4 3"]
    mass_centre: Float[Tensor, "windows frames 3"]
    clearance: Float[Tensor, "windows frames"]
    violation: Float[Tensor, "windows frames 24"]
    heading: Float[Tensor, "windows frames"]
    leg_length: Float[Tensor, "windows"]
    mask: Bool[Tensor, "windows frames"]
    action_ids: Int64[Tensor, "windows"]
    frame_rate: float

    def __len__(self) -> int:
        return len(self.mask)

    def inputs(self) -> Float[Tensor, "windows frames channels"]:
        """What the recognizer sees."""
        return recognizer_inputs(self.joints, self.heading, self.leg_length, self.frame_rate)

    def root_free_joints(self) -> Float[Tensor, "windows frames joints 3"]:
        """Joints from the point under the pelvis, in the heading frame, in leg lengths."""
        return self.inputs().unflatten(2, (2, NUM_MOVING_JOINTS, 3))[:, :, 0]


def pose_windows(
    clips: Sequence[Clip],
    body: Body,
    *,
    actions: Sequence[str],
    frames: int,
    overlap: bool = False,
) -> PosedWindows:
    """The clips of `actions`, cut to windows of at most `frames` frames.

    A shorter clip stays whole; what is left at the end of a longer one counts from `SHORTEST` seconds on.
    overlap   let windows begin every half window: more to train on, none to count twice
    """
    known = {action: index for index, action in enumerate(actions)}
    clips = [clip for clip in clips if clip.action in known and clip.num_frames >= 4]
    rates = {clip.frame_rate for clip in clips}
    if len(rates) > 1:
        raise MotionganError(f"clips of {sorted(rates)} Hz cannot be compared; import them at one --frame-rate")
    if not clips:
        raise MotionganError(f"no clip of {', '.join(actions)} to evaluate")
    frame_rate = rates.pop()
    pieces = [
        (clip, start, stop) for clip in clips for start, stop in _cuts(clip.num_frames, frames, frame_rate, overlap)
    ]
    rows = [torch.arange(start, start + frames).clamp(max=stop - 1) for _, start, stop in pieces]
    poses = torch.stack([torch.from_numpy(clip.poses)[row] for (clip, _, _), row in zip(pieces, rows)])
    trans = torch.stack([torch.from_numpy(clip.trans)[row] for (clip, _, _), row in zip(pieces, rows)])
    skeleton = body.skeleton(torch.stack([torch.from_numpy(clip.betas) for clip, _, _ in pieces])[:, : body.num_betas])
    parts = [
        _pose(part_poses, part_trans, Skeleton(part_joints, part_soles).unsqueeze(1))
        for part_poses, part_trans, part_joints, part_soles in zip(
            poses.split(256), trans.split(256), skeleton.rest_joints.split(256), skeleton.rest_soles.split(256)
        )
    ]
    lengths = torch.tensor([stop - start for _, start, stop in pieces])
    return PosedWindows(
        **{name: torch.cat([part[name] for part in parts]) for name in parts[0]},
        leg_length=skeleton.leg_length,
        mask=torch.arange(frames) < lengths[:, None],
        action_ids=torch.tensor([known[clip.action] for clip, _, _ in pieces if clip.action is not None]),
        frame_rate=frame_rate,
    )


def _pose(poses: Tensor, trans: Tensor, skeleton: Skeleton) -> dict[str, Tensor]:
    rotations = roma.rotvec_to_rotmat(poses)
    posed = forward_kinematics(rotations, trans, skeleton)
    return {
        "joints": posed.joints,
        "soles": posed.soles,
        "mass_centre": centre_of_mass(posed.joints),
        "clearance": ground_clearance(posed.joints, posed.soles),
        "violation": joint_range_violation(rotations),
        "heading": heading_of(rotations[:, :, 0]),
    }


def _cuts(num_frames: int, frames: int, frame_rate: float, overlap: bool) -> list[tuple[int, int]]:
    """(start, stop) of the windows of a clip."""
    if num_frames <= frames:
        return [(0, num_frames)]
    starts = range(0, num_frames, max(1, frames // 2) if overlap else frames)
    cuts = [(start, min(start + frames, num_frames)) for start in starts]
    return [(start, stop) for start, stop in cuts if stop - start >= min(frames, SHORTEST * frame_rate)]


class Evaluator:
    """Real motion to measure generated motion by: a recognizer and reference figures, made once for many models.

    train     clips of the training subjects; held_out   clips of other people
    window    frames that clips are cut to, so that real and generated clips compare at one length
    rows are dicts of figures: `OVERALL` and one per action. Overall is the mean over the actions that the held-out
    clips have too, each counting alike, but for `fid` and `diversity`, which look at these actions together.
    """

    def __init__(
        self,
        train: Sequence[Clip],
        held_out: Sequence[Clip],
        *,
        actions: Sequence[str],
        seed: int,
        body: Body | None = None,
        window: int = 64,
        recognizer_steps: int = 500,
    ) -> None:
        self.actions = tuple(actions)
        self.seed = seed
        self.window = window
        self.body = load_body() if body is None else body
        self._train = pose_windows(train, self.body, actions=self.actions, frames=window)
        shown = pose_windows(train, self.body, actions=self.actions, frames=window, overlap=True)
        self.recognizer = train_recognizer(
            shown.inputs(), shown.mask, shown.action_ids, self.actions, seed=seed, steps=recognizer_steps
        )
        self._train_features = self._features(self._train)
        self._candidates = _segments(shown, every_start=True)[0]
        known = [clip for clip in held_out if clip.action in self.actions]
        self._held_out: PosedWindows | None = None
        self._held_out_actions = {clip.action for clip in known}
        self._held_out_near: tuple[Tensor, Tensor] | None = None
        self.held_out: dict[str, Figures] = {}
        if known:
            windows = pose_windows(known, self.body, actions=self.actions, frames=window)
            self._held_out = windows
            self._held_out_near = self._near(windows)
            self.held_out = self._measure(windows)

    def measure(self, clips: Sequence[Clip]) -> dict[str, Figures]:
        """The figures of these clips, overall and per action."""
        return self._measure(pose_windows(clips, self.body, actions=self.actions, frames=self.window))

    def _measure(self, windows: PosedWindows) -> dict[str, Figures]:
        features = self._features(windows)
        guesses = self.recognizer.to_logits(features * self.recognizer.feature_std).argmax(-1)
        joints, train_joints = windows.root_free_joints(), self._train.root_free_joints()
        near, near_actions = self._near(windows)
        rows: dict[str, Figures] = {}
        for action_id, action in enumerate(self.actions):
            rows_of = (windows.action_ids == action_id).nonzero()[:, 0]
            train_of = (self._train.action_ids == action_id).nonzero()[:, 0]
            if not len(rows_of):
                continue
            reference = metrics.pose_deviation(train_joints[train_of], self._train.mask[train_of])
            figures = {
                "windows": float(len(rows_of)),
                "accuracy": (guesses[rows_of] == action_id).float().mean().item(),
                "multimodality": metrics.diversity(features[rows_of]),
                "pose_diversity": _ratio(metrics.pose_deviation(joints[rows_of], windows.mask[rows_of]), reference),
                **_physics(windows, rows_of),
            }
            figures["jerk_ratio"] = _ratio(_jerk(windows, rows_of), _jerk(self._train, train_of))
            figures |= self._copying(near[near_actions == action_id], action_id)
            rows[action] = figures
        # Rows compare only over the same actions: those that the held-out clips have too, where there are any.
        shared = [action for action in rows if self._held_out is None or action in self._held_out_actions] or list(rows)
        compared = [rows[action] for action in shared]
        overall = {name: _mean([row[name] for row in compared]) for name in compared[0]}
        overall["windows"] = sum(row["windows"] for row in compared)
        ids = torch.tensor([self.actions.index(action) for action in shared])
        seen = features[torch.isin(windows.action_ids, ids)]
        overall["diversity"] = metrics.diversity(seen[:: math.ceil(len(seen) / 2000)])
        overall["fid"], overall["fid_held_out"] = self._fid(windows, features)
        return {OVERALL: overall, **rows}

    def _features(self, windows: PosedWindows) -> Tensor:
        return self.recognizer.features(windows.inputs(), windows.mask)

    def _fid(self, windows: PosedWindows, features: Tensor) -> tuple[float, float]:
        """Fréchet distance to the training and to the held-out windows, every action with the same weight.

        Over the actions that the held-out clips have too, and at their number of windows per action (mean of 5 draws):
        few samples raise the distance, so only equal numbers compare.
        """
        reference = self._held_out
        count = torch.bincount(windows.action_ids, minlength=len(self.actions))
        held_out = count if reference is None else torch.bincount(reference.action_ids, minlength=len(self.actions))
        taken = torch.minimum(count, held_out)
        if taken.sum() < 2:
            return math.nan, math.nan
        used = taken > 0
        generator = torch.Generator().manual_seed(self.seed)
        draws = 1 if bool((taken == count)[used].all()) else _FID_DRAWS
        to_train, to_held_out = [], []
        for _ in range(draws):
            order = torch.randperm(len(windows), generator=generator)
            ids = windows.action_ids[order]
            rows = torch.cat([order[ids == action][: int(number)] for action, number in enumerate(taken) if number])
            to_train.append(
                _balanced_distance(
                    features[rows], windows.action_ids[rows], self._train_features, self._train.action_ids, used
                )
            )
            if reference is not None and reference is not windows:
                others = self._features(reference)
                to_held_out.append(
                    _balanced_distance(features[rows], windows.action_ids[rows], others, reference.action_ids, used)
                )
        return _mean(to_train), _mean(to_held_out)

    def _near(self, windows: PosedWindows) -> tuple[Tensor, Tensor]:
        """RMS joint distance (mm on the training bodies) to the nearest training motion; and the windows' actions."""
        segments, rows = _segments(windows, every_start=False)
        distance = metrics.nearest_distances(segments, self._candidates)
        joint_frames = segments.shape[1] / 3
        scale = 1000 * self._train.leg_length.mean() / math.sqrt(joint_frames)
        return distance * scale, windows.action_ids[rows]

    def _copying(self, near: Tensor, action_id: int) -> Figures:
        """Nearest-neighbour distance, and how it compares with that of held-out clips of the action."""
        median = near.median().item() if len(near) else math.nan
        real = torch.empty(0)
        if self._held_out_near is not None:
            distances, ids = self._held_out_near
            real = distances[ids == action_id]
        enough = len(real) > 0 and len(near) > 0
        return {
            "nn_mm": median,
            "nn_ratio": median / real.median().item() if enough else math.nan,
            "copy_share": (near < real.quantile(0.05)).float().mean().item() if enough else math.nan,
        }


def evaluate(
    generated: Sequence[Clip],
    train: Sequence[Clip],
    held_out: Sequence[Clip],
    *,
    actions: Sequence[str],
    seed: int,
    body: Body | None = None,
    recognizer_steps: int = 500,
) -> dict[str, dict[str, Figures]]:
    """{"generated": rows, "held_out": rows}; rows are figures by name, under "overall" and under every action.

    Real clips are cut to the generated clips' median length. To measure several models against the same real clips,
    make one `Evaluator`.
    """
    if not generated:
        raise MotionganError("no generated clips to evaluate")
    window = sorted(clip.num_frames for clip in generated)[len(generated) // 2]
    evaluator = Evaluator(
        train, held_out, actions=actions, seed=seed, body=body, window=window, recognizer_steps=recognizer_steps
    )
    return {"generated": evaluator.measure(generated), "held_out": evaluator.held_out}


def _physics(windows: PosedWindows, rows: Tensor) -> Figures:
    mask, rate = windows.mask[rows], windows.frame_rate
    return {
        **metrics.foot_skate(windows.soles[rows], mask, rate),
        "penetration_mm": 1000 * metrics.penetration(windows.soles[rows], mask),
        **metrics.flight(windows.mass_centre[rows], windows.clearance[rows], mask, rate),
        **metrics.joint_range(windows.violation[rows], mask),
    }


def _jerk(windows: PosedWindows, rows: Tensor) -> float:
    moving = windows.joints[rows][:, :, :NUM_MOVING_JOINTS]
    return metrics.median_jerk(jerk(moving, windows.frame_rate), windows.mask[rows])


def _segments(windows: PosedWindows, *, every_start: bool) -> tuple[Tensor, Tensor]:
    """Root-free joints over `MATCH_LENGTH` as flat vectors, and the window each is from; the middle or every start."""
    length = max(2, round(MATCH_LENGTH * windows.frame_rate))
    joints = windows.root_free_joints().flatten(2)
    lengths = windows.mask.sum(1)
    offsets = torch.arange(0, length, _MATCH_STEP)
    segments, rows = [], []
    last = lengths - length
    for start in range(0, int(last.max()) + 1, _MATCH_STEP) if every_start else [None]:
        fits = (last >= (0 if start is None else start)).nonzero()[:, 0]
        begin = last[fits] // 2 if start is None else torch.full_like(fits, start)
        segments.append(joints[fits[:, None], begin[:, None] + offsets].flatten(1))
        rows.append(fits)
    if not segments:
        return joints.new_zeros(0, len(offsets) * joints.shape[-1]), torch.zeros(0, dtype=torch.long)
    return torch.cat(segments), torch.cat(rows)


def _balanced_distance(features: Tensor, ids: Tensor, others: Tensor, other_ids: Tensor, used: Tensor) -> float:
    """Fréchet distance with equal total weight for every used action."""
    mine, theirs = used[ids], used[other_ids]
    return metrics.frechet_distance(
        features[mine], others[theirs], _balanced_weights(ids[mine]), _balanced_weights(other_ids[theirs])
    )


def _balanced_weights(ids: Tensor) -> Tensor:
    return 1 / torch.bincount(ids)[ids].double()


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


# figure -> (heading of its column, format), in the order of the table
COLUMNS: Mapping[str, tuple[str, str]] = {
    "windows": ("windows", "{:.0f}"),
    "fid": ("FID", "{:.2f}"),
    "fid_held_out": ("FID to held-out", "{:.2f}"),
    "accuracy": ("accuracy", "{:.1%}"),
    "diversity": ("diversity", "{:.2f}"),
    "multimodality": ("multimodality", "{:.2f}"),
    "pose_diversity": ("pose diversity / train", "{:.2f}"),
    "nn_mm": ("nearest training motion, mm", "{:.0f}"),
    "nn_ratio": ("the same / held-out", "{:.2f}"),
    "copy_share": ("nearer than 5 % of held-out", "{:.1%}"),
    "low_toe_share": ("low toes", "{:.1%}"),
    "skate_share": ("of these skating", "{:.1%}"),
    "foot_skate": ("low toe speed, m/s", "{:.3f}"),
    "penetration_mm": ("penetration, mm", "{:.2f}"),
    "air_share": ("in the air", "{:.1%}"),
    "floating_share": ("floating", "{:.1%}"),
    "flight_error": ("flight error, m/s^2", "{:.2f}"),
    "range_share": ("frames out of joint range", "{:.1%}"),
    "range_degrees": ("degrees out of range", "{:.2f}"),
    "jerk_ratio": ("jerk / train", "{:.2f}"),
}

_PER_ACTION = (
    "windows",
    "accuracy",
    "pose_diversity",
    "nn_ratio",
    "low_toe_share",
    "skate_share",
    "penetration_mm",
    "air_share",
    "floating_share",
    "flight_error",
    "range_share",
    "jerk_ratio",
)


def overall_table(results: Mapping[str, Mapping[str, Figures]]) -> str:
    """The overall figures as a Markdown table: a row per figure, a column per set of clips."""
    lines = ["| figure | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for name, (heading, form) in COLUMNS.items():
        cells = [_cell(form, rows.get(OVERALL, {}).get(name)) for rows in results.values()]
        lines.append(f"| {heading} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def action_table(results: Mapping[str, Mapping[str, Figures]]) -> str:
    """The figures of every action as a Markdown table: a row per action and set of clips, real ones last."""
    lines = ["| action | clips | " + " | ".join(COLUMNS[name][0] for name in _PER_ACTION) + " |"]
    lines.append("|---" * (len(_PER_ACTION) + 2) + "|")
    actions = dict.fromkeys(action for rows in results.values() for action in rows if action != OVERALL)
    for action in actions:
        for label, rows in results.items():
            if action in rows:
                cells = [_cell(COLUMNS[name][1], rows[action].get(name)) for name in _PER_ACTION]
                lines.append(f"| {action} | {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(form: str, value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else form.format(value)
