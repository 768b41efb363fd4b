"""A small temporal 2D-to-3D lifter and its training under cameras and detector noise that are always new.

To see windows costs four times as much as to learn from them. So each batch that is seen is learned from in
`LifterConfig.looks` steps on average, mixed with the batches seen before it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from motiongan.augmentation.cameras import CameraSampler, outside, project, screen_coordinates
from motiongan.augmentation.detector import Detector2D
from motiongan.augmentation.mixing import Anneal
from motiongan.body.joint_sets import JOINT_SETS
from motiongan.utility.perturbation import JOINTS, Perturbation
from motiongan.utility.posing import FIELD, PosedClips

_POINTS = len(JOINT_SETS[JOINTS].names)
_ROOT = JOINT_SETS[JOINTS].parents.index(-1)
_INPUTS = 3 * _POINTS + 3  # of a frame: points with confidence; where the person stands in the picture and how large


@dataclass(frozen=True)
class LifterConfig:
    """How a lifter is trained, in every row alike."""

    width: int = 192  # channels
    steps: int = 5000  # at 1,500 it lacks steps, not data: all real gains 3 % over few + perturbation, here 8 %
    batch: int = 64  # windows of 27 frames, each with its own camera
    looks: int = 4  # steps between new batches; as many of the newest ones are mixed
    learning_rate: float = 2e-3  # Adam, cosine decay to 0
    share: float = 0.5  # of extra clips in a batch, where a row has both
    final_share: float | None = None  # share at the end, reached linearly; None = the same throughout
    drawn: int = 1  # extra windows drawn for each that is taken: those that the lifter of the moment places worst


class Lifter(nn.Module):
    """Keypoints of 27 frames -> 3D joints of the middle one: dilated convolutions with residual connections.

    Source: D. Pavllo et al. 2019 (VideoPose3D), arXiv 1811.11742, section 3. Deviations: layer instead of batch
    normalisation, which would mix the statistics of real and synthetic windows; GELU; no dropout; confidence is read.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Linear(3 * _INPUTS, width)
        self.read_norm = nn.LayerNorm(width)
        self.across = nn.ModuleList(nn.Linear(3 * width, width) for _ in range(2))
        self.across_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.within = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.within_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.write = nn.Linear(width, 3 * _POINTS)

    def forward(self, seen: Float[Tensor, "batch frames inputs"]) -> Float[Tensor, "batch placed points 3"]:
        """Joints relative to the root in the camera's axes, metres, of all frames but the first and last 13.

        For 27 frames only what the one result needs is computed.
        """
        strided = seen.shape[1] == FIELD
        gelu = nn.functional.gelu
        hidden = gelu(self.read_norm(self.read(_three(seen, 1, strided))))
        for number, dilation in enumerate((3, 9)):
            skip = hidden[:, 1::3] if strided else hidden[:, dilation:-dilation]
            taken = _three(hidden, dilation, strided)
            inner = gelu(self.across_norms[number](self.across[number](taken)))
            hidden = skip + gelu(self.within_norms[number](self.within[number](inner)))
        placed = self.write(hidden).unflatten(-1, (_POINTS, 3))
        return placed - placed[:, :, _ROOT : _ROOT + 1]


def _three(values: Tensor, dilation: int, strided: bool) -> Tensor:
    """What a convolution over three frames reads: every three, or each frame with those `dilation` before and after."""
    if strided:
        return values.unflatten(1, (-1, 3)).flatten(2)
    frames = values.shape[1] - 2 * dilation
    return torch.cat([values[:, start : start + frames] for start in (0, dilation, 2 * dilation)], -1)


@dataclass(frozen=True, eq=False)
class Views:
    """Windows as a detector saw them.

    seen     inputs of the lifter
    target   true joints relative to the root in the camera's axes, metres
    """

    seen: Float[Tensor, "batch frames inputs"]
    target: Float[Tensor, "batch frames points 3"]


def observe(joints: Float[Tensor, "batch frames points 3"], frame_rate: float, *, generator: torch.Generator) -> Views:
    """World positions under a random camera each, as a detector with its noise, gaps and swaps sees them.

    Keypoints are given from the middle of all detected ones of the window, in its mean person size, and beside them
    that middle and that size in screen coordinates: the same body far away or near looks alike, but for perspective.
    """
    camera = CameraSampler().sample(joints, generator=generator, frame_rate=frame_rate)
    pixels, depth = project(camera, joints)
    detected = Detector2D(joint_set=JOINTS)(
        pixels, generator=generator, frame_rate=frame_rate, absent=outside(camera, pixels, depth)
    )
    screen = screen_coordinates(detected.keypoints, camera.width, camera.height)
    middle = screen.mean((1, 2), keepdim=True)
    size = (screen - screen.mean(2, keepdim=True)).square().sum(-1).mean((1, 2)).sqrt().clamp(min=1e-3)
    inputs = (screen - middle) / size[:, None, None, None]
    place = torch.cat([middle[:, 0, 0], size[:, None]], -1)[:, None].expand(-1, joints.shape[1], -1)
    seen = torch.cat([inputs.flatten(2), detected.confidence - 0.5, place], -1)
    target = camera.to_camera(joints)
    return Views(seen, target - target[:, :, _ROOT : _ROOT + 1])


def train_lifter(
    real: PosedClips | None,
    extra: PosedClips | None,
    perturbation: Perturbation | None,
    config: LifterConfig,
    frame_rate: float,
    *,
    seed: int,
) -> Lifter:
    """A lifter trained on windows of `real`, of `extra`, or of both by `config.share`; perturbed or as they are.

    Rows of one seed have one start, and the same cameras and detector noise batch for batch, so that they pair. The
    global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global stream
        torch.manual_seed(seed)
        lifter = Lifter(config.width)
    views, first, second = (torch.Generator().manual_seed(3 * seed + number) for number in range(3))
    # Cameras under which drawn windows are tried: a stream apart, so that rows of one seed still pair.
    trials = torch.Generator().manual_seed(2**32 + seed)
    final = config.share if config.final_share is None else config.final_share
    share_at = Anneal(config.share, final, config.steps)
    optimiser = torch.optim.Adam(lifter.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps)
    owed = 0.0
    seen: list[Views] = []
    for step in range(config.steps):
        if step % config.looks == 0:
            owed += config.batch * (1.0 if real is None else 0.0 if extra is None else share_at(step))
            num_extra = round(owed)
            owed -= num_extra
            parts = []
            if real is not None and num_extra < config.batch:
                parts.append(real.draw(config.batch - num_extra, perturbation, generator=first))
            if extra is not None and num_extra:
                windows = extra.draw(config.drawn * num_extra, perturbation, generator=second)
                if config.drawn > 1:
                    windows = hardest(lifter, windows, num_extra, frame_rate, generator=trials)
                parts.append(windows)
            seen = [*seen, observe(torch.cat(parts), frame_rate, generator=views)][-config.looks :]
        batch = _mixed(seen, config.batch, views)
        error = _errors(lifter, batch).mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        schedule.step()
    return lifter.eval().requires_grad_(False)


@torch.no_grad()
def hardest(
    lifter: Lifter,
    windows: Float[Tensor, "batch frames points 3"],
    count: int,
    frame_rate: float,
    *,
    generator: torch.Generator,
) -> Float[Tensor, "count frames points 3"]:
    """The windows whose middle frame the lifter places worst, each under a camera of its own.

    World positions in metres, before and after.
    Online hard example mining (A. Shrivastava et al. 2016, arXiv 1604.03540), over the synthetic windows alone: the few
    real ones are seen often enough.
    """
    return windows[_errors(lifter, observe(windows, frame_rate, generator=generator)).mean(-1).topk(count).indices]


def _errors(lifter: Lifter, views: Views) -> Float[Tensor, "batch points"]:
    """Metres, of the middle frame."""
    return (lifter(views.seen)[:, 0] - views.target[:, FIELD // 2]).norm(dim=-1)


def _mixed(batches: list[Views], count: int, generator: torch.Generator) -> Views:
    """Some of the windows of all batches, each at most once."""
    rows = torch.randperm(sum(len(each.seen) for each in batches), generator=generator)[:count]
    return Views(*(torch.cat(parts)[rows] for parts in zip(*((each.seen, each.target) for each in batches))))
