"""The evaluation that a training run is watched with: the command introduces the two, which do not know each other."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from motiongan.evaluation.evaluate import Evaluator
    from motiongan.training.assessment import Assessment
    from motiongan.training.config import TrainConfig
    from motiongan.training.dataset import TrainingData

# Not the recognizer that `motiongan evaluate` trains by default (seed 0): a checkpoint chosen by one pair of eyes is
# better judged by another. The clips are others than those of `generate` with small seeds, too.
_SEED = 271828
_MOST_CLIPS = 480  # generated for an assessment, all actions together
_MOST_PER_ACTION = 24
_RECOGNIZER_STEPS = 300
# A distance to fewer clips says more about them than about a checkpoint, and one to a few actions nothing about others.
_ENOUGH_HELD_OUT = 20  # clips
_ENOUGH_ACTIONS = 0.5  # of the model's


class Assessor:
    """An `OnAssess` for `train`: generates from the model file as anybody would, and measures by the run's own data.

    The real clips are prepared at the first call. Equal models are assessed equally: the run can be resumed.
    """

    def __init__(self, data: "TrainingData", config: "TrainConfig", body: str | Path | None = None) -> None:
        self.data, self.config, self.body = data, config, body
        self._evaluator: Evaluator | None = None

    def __call__(self, model: Path, step: int) -> "Assessment":
        from motiongan.evaluation.evaluate import OVERALL
        from motiongan.generation.generate import load_generator
        from motiongan.training.assessment import Assessment

        if self._evaluator is None:
            self._evaluator = self._prepared()
        each = max(4, min(_MOST_PER_ACTION, _MOST_CLIPS // len(self.data.actions)))
        clips = load_generator(model).generate("all", n=each, seed=_SEED)
        rows = self._evaluator.measure(clips)
        overall = rows.pop(OVERALL)
        fid = overall["fid_held_out"] if self.data.held_out else overall["fid"]
        spacing = self._evaluator.training_spacing
        apart = [row["nn_mm"] / spacing[action] for action, row in rows.items() if spacing.get(action, 0.0) > 0]
        shown = {name: overall[name] for name in ("accuracy", "pose_diversity", "nn_mm", "nn_ratio", "skate_share")}
        return Assessment(
            figures=_known({"fid": fid, **shown, "nn_spacing": sum(apart) / len(apart) if apart else math.nan}),
            by_action={
                action: _known({name: row[name] for name in ("pose_diversity", "nn_ratio")})
                for action, row in rows.items()
            },
            can_choose=len(self.data.held_out) >= _ENOUGH_HELD_OUT
            and len({clip.action for clip in self.data.held_out}) >= _ENOUGH_ACTIONS * len(self.data.actions),
        )

    def _prepared(self) -> "Evaluator":
        from motiongan.body.smpl import load_body
        from motiongan.evaluation.evaluate import Evaluator

        return Evaluator(
            self.data.train,
            self.data.held_out,
            actions=self.data.actions,
            seed=_SEED,
            body=load_body(self.body),
            window=self.config.data.window,
            recognizers=1,
            recognizer_steps=_RECOGNIZER_STEPS,
        )


def _known(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if not math.isnan(value)}
