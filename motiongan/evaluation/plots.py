"""Pictures of an evaluation as PNG bytes: figures with their intervals, and contact sheets."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from torch import Tensor

from motiongan.body.smpl import Body
from motiongan.evaluation.figures import FIGURES, OVERALL, Row
from motiongan.evaluation.nearness import NearPair
from motiongan.evaluation.windows import MATCH_LENGTH
from motiongan.motion.clip import Clip
from motiongan.rendering.stick_figure import contact_sheet_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito
REAL_COLOURS = ("#333333", "#8a7f6a")
PLOTTED = (
    "fid",
    "kid",
    "fid_held_out",
    "kid_held_out",
    "accuracy",
    "synthetic_accuracy",
    "precision",
    "coverage",
    "multimodality",
    "pose_diversity",
    "nn_ratio",
    "copy_share",
    "skate_share",
    "range_share",
    "spectrum",
    "athletics",
)


def overall_plot(rows: Mapping[str, Row], real: Sequence[str]) -> bytes:
    """The `PLOTTED` figures overall, a panel each: a dot per row, its 95 % interval, lines through the real ones."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = list(rows)
    lines = -(-len(PLOTTED) // 4)
    figure = Figure(figsize=(10, lines * (0.7 + 0.27 * len(labels))), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, 4, sharey=True, squeeze=False).ravel()
    for panel, name in zip(panels, PLOTTED):
        for place, label in enumerate(labels):
            estimate = rows[label][OVERALL].get(name)
            if estimate is None or np.isnan(estimate.value):
                continue
            if label in real:
                colour = REAL_COLOURS[list(real).index(label) % len(REAL_COLOURS)]
            else:
                colour = COLOURS[place % len(COLOURS)]
            if not np.isnan(estimate.low):
                panel.plot([estimate.low, estimate.high], [place, place], color=colour, linewidth=2)
            panel.plot([estimate.value], [place], "o", color=colour, markersize=5)
            if label in real:
                panel.axvline(estimate.value, color=colour, linewidth=0.8, linestyle=":")
        panel.set_title(FIGURES[name].heading, fontsize=9)
        panel.set_yticks(range(len(labels)), labels, fontsize=8)
        panel.set_ylim(len(labels) - 0.5, -0.5)
        panel.tick_params(axis="x", labelsize=8)
        panel.margins(x=0.1)
        if "%" in FIGURES[name].form:
            panel.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        panel.grid(axis="x", color="#eeeeee")
    return png_of(figure)


def sheet(clips: Sequence[Clip], body: Body) -> bytes:
    """A contact sheet of clips."""
    return _picture(contact_sheet_image(clips, body, num_poses=10))


def pairs_sheet(pairs: Sequence[NearPair], clips: Sequence[Clip], train: Sequence[Clip], body: Body) -> bytes:
    """The compared piece of each pair: the generated one, below it the training one."""
    shown = []
    for pair in pairs:
        seen = ", mirrored" if pair.mirrored else ""
        for clip, begin, kind in (
            (clips[pair.clip], pair.begin, "generated"),
            (train[pair.train_clip], pair.train_begin, "training"),
        ):
            piece = clip.crop(begin, begin + round(MATCH_LENGTH * clip.frame_rate))
            who = f"{kind}, {pair.distance_mm:.0f} mm" if kind == "generated" else clip.subject + seen
            shown.append(replace(piece, action=f"{clip.action}", subject=who))
    return sheet(shown, body)


def pair_text(pair: NearPair, clips: Sequence[Clip], train: Sequence[Clip]) -> str:
    """A pair in words: action, distance, and where its training motion is from."""
    clip, real = clips[pair.clip], train[pair.train_clip]
    begin, length = pair.train_begin / real.frame_rate, MATCH_LENGTH
    label = "" if real.action == clip.action else f", a {real.action}"
    label += ", like its mirror image" if pair.mirrored else ""
    return (
        f"{clip.action} {pair.distance_mm:.0f} mm: {real.source or 'a clip of no known source'} from {begin:.2f} s of"
        f" the clip, {length:g} s long ({real.subject or 'somebody'}{label})"
    )


def distances_plot(distances: Mapping[str, Float[Tensor, "windows"]], real: Sequence[str]) -> bytes:
    """Histograms of each set's distances (mm) to the training motion, as shares of its windows, one over the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6), layout="constrained")
    FigureCanvasAgg(figure)
    panel = figure.subplots()
    edges = np.linspace(0, max(float(found.max()) for found in distances.values() if len(found)) or 1.0, 31)
    for place, (label, found) in enumerate(distances.items()):
        colour = REAL_COLOURS[0] if label in real else COLOURS[place % len(COLOURS)]
        shares = np.histogram(found.numpy(), edges)[0] / max(len(found), 1)
        panel.stairs(shares, edges, color=colour, label=label, fill=label in real, alpha=0.35 if label in real else 1.0)
    panel.set_xlabel("mm to the nearest training motion", fontsize=9)
    panel.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    panel.tick_params(labelsize=8)
    panel.legend(fontsize=8, frameon=False)
    return png_of(figure)


def pick(clips: Sequence[Clip], actions: Sequence[str], each: int, *, seed: int) -> list[Clip]:
    """Clips of each action in turn, drawn at random."""
    random = np.random.default_rng(seed)
    picked = []
    for action in actions:
        same = [clip for clip in clips if clip.action == action and clip.num_frames > 1]
        picked += [same[number] for number in sorted(random.permutation(len(same))[:each])]
    return picked


def png_of(figure: "Figure") -> bytes:
    """The drawn figure; equal figures are equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _picture(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).quantize(64, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
