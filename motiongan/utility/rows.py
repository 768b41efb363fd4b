"""The rows of the benchmark: what each lifter is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

FEW, PERTURBED, ALL, ALL_PERTURBED = "few", "few + perturbation", "all real", "all real + perturbation"
SYNTHETIC, BOTH, ONLY = "few + synthetic", "few + both", "synthetic only"

# What a control must show.
CONTROLS = {
    "other real": "few + the other real clips of the training people: must gain much",
    "copies": "few + copies of the same few: must gain about nothing",
    "noise": "few + random smooth poses: must gain nothing",
    "PCA-Gaussian": "few + clips of a per-action PCA-Gaussian fitted to the same few: the cheap rival",
}

# What a row must beat: the same with clips of the PCA-Gaussian.
RIVALS = {
    SYNTHETIC: "control: few + PCA-Gaussian",
    BOTH: "control: few + perturbation + PCA-Gaussian",
    ONLY: "control: PCA-Gaussian only",
}


@dataclass(frozen=True)
class Row:
    """real and extra are names of clip sets; None: no such part. Perturbation is on both parts, or on neither."""

    name: str
    real: str | None
    extra: str | None = None
    perturbed: bool = False


def make_rows(*, synthetic: bool, controls: Sequence[str] = (), left_out: str | None = None) -> list[Row]:
    """The rows in the order of the table.

    left_out   an action that the few of all rows but "few with ..." and "all real" lack
    """
    rows = [Row(FEW, "few"), Row(PERTURBED, "few", perturbed=True)]
    if synthetic:
        rows += [
            Row(SYNTHETIC, "few", "synthetic"),
            Row(BOTH, "few", "synthetic", perturbed=True),
            Row(ONLY, None, "synthetic"),
        ]
    if left_out is not None:
        rows.append(Row(f"few with {left_out} + perturbation", "few with it", perturbed=True))
    rows += [Row(ALL, "all"), Row(ALL_PERTURBED, "all", perturbed=True)]
    for control in controls:
        rows.append(Row(f"control: few + {control}", "few", control))
        if control == "PCA-Gaussian":
            rows.append(Row("control: few + perturbation + PCA-Gaussian", "few", control, perturbed=True))
            rows.append(Row("control: PCA-Gaussian only", None, control))
    return rows
