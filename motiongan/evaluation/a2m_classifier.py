"""The action classifiers that Action2Motion's authors published, and what each must be shown.

Source: Guo et al. 2020, arXiv 2007.15240, and their code (github.com/EricGuo5513/action-to-motion, MIT). The user
brings the files (`model_file/action_recognition_model_*.tar` there).
"""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from motiongan.body.skeleton import JOINT, JOINT_NAMES
from motiongan.errors import MotionganError, did_you_mean

HIDDEN, FEATURES = 128, 30


@dataclass(frozen=True)
class Convention:
    """What a classifier was trained on, and so what it must be shown.

    classes      in the order of its outputs
    joints       SMPL joints in the order of its inputs
    axes         rows: its x, y and z axes in the house's (Z up; a person who faces -y has the left side at +x)
    scale        its units per metre
    frame_rate   Hz that clips are brought to
    """

    name: str
    classes: tuple[str, ...]
    joints: tuple[int, ...]
    axes: tuple[tuple[int, int, int], ...]
    scale: float
    frame_rate: float
    note: str


# A camera's x right, y down, z ahead. Its people face the camera: the clips that the authors' own model generated do,
# within about 20 degrees. Its frame rate was never published; recorded walks, runs, jumps and throws are recognized
# best at 30 Hz (of 12.5, 15, 20 and 30). CMU's units are those of its ASF files; 12 Hz of 12, 15, 20 and 30.
_CAMERA = ((1, 0, 0), (0, 0, -1), (0, 1, 0))
_Y_UP = ((1, 0, 0), (0, 0, 1), (0, -1, 0))
_CMU_METRES = 0.0254 / 0.45  # of a unit of CMU's skeletons, whose lengths are inches times 0.45

_COARSE = "warm_up walk run jump drink lift_dumbbell sit eat turn_steering_wheel phone boxing throw"
_FINE = (
    "warm_up_wristankle warm_up_pectoral warm_up_elbowback warm_up_bodylean_right_arm warm_up_bodylean_left_arm"
    " warm_up_bow_right warm_up_bow_left walk run jump_handsup jump_vertical drink_bottle_righthand"
    " drink_bottle_lefthand drink_cup_righthand drink_cup_lefthand drink_both_hands lift_dumbbell_right_hand"
    " lift_dumbbell_left_hand lift_dumbbell_both_hands lift_dumbbell_over_head lift_dumbbell_bend_legs sit"
    " eat_finger_right eat_pie_or_hamburger eat_left_hand turn_steering_wheel phone_right_hand phone_left_hand"
    " boxing_left_right boxing_left_upwards boxing_right_upwards boxing_right_left throw_right_hand throw_both_hands"
)
_CMU = "walk wash run jump animal_behavior dance step climb"
_CMU_JOINTS = (
    *("pelvis", "spine3", "neck", "head"),
    *("left_shoulder", "left_elbow", "left_wrist", "left_hand"),
    *("right_shoulder", "right_elbow", "right_wrist", "right_hand"),
    *("left_hip", "left_knee", "left_ankle", "left_foot"),
    *("right_hip", "right_knee", "right_ankle", "right_foot"),
)
_ALL = tuple(range(len(JOINT_NAMES)))

# By the number of inputs and of classes. NTU's 54 inputs and 13 classes are not here: its 18 joints include ears.
CONVENTIONS: Mapping[tuple[int, int], Convention] = {
    (72, 12): Convention("HumanAct12", tuple(_COARSE.split()), _ALL, _CAMERA, 1.0, 30.0, ""),
    (72, 34): Convention("HumanAct12, fine classes", tuple(_FINE.split()), _ALL, _CAMERA, 1.0, 30.0, ""),
    (60, 8): Convention(
        "CMU",
        tuple(_CMU.split()),
        tuple(JOINT[name] for name in _CMU_JOINTS),
        _Y_UP,
        1 / (20 * _CMU_METRES),
        12.0,
        "this classifier was trained on recordings of CMU: it knows real clips from there, held out or not",
    ),
}


class Classifier(nn.Module):
    """Two GRU layers; the last frame's output, through tanh, is the features; a linear layer names the class."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(inputs, HIDDEN, 2)
        self.linear1 = nn.Linear(HIDDEN, FEATURES)
        self.linear2 = nn.Linear(FEATURES, classes)

    def forward(
        self, motion: Float[Tensor, "batch frames inputs"], initial: Float[Tensor, "2 batch hidden"]
    ) -> tuple[Float[Tensor, "batch features"], Float[Tensor, "batch classes"]]:
        outputs, _ = self.recurrent(motion.transpose(0, 1), initial)
        features = torch.tanh(self.linear1(outputs[-1]))
        return features, self.linear2(features)


def load_classifier(path: Path) -> tuple[Classifier, Convention]:
    """A published classifier file and what it must be shown. Nothing in the file is run."""
    if not path.is_file():
        raise MotionganError(f"{path}: no such classifier file; action-to-motion on GitHub has it under model_file/")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a foreign file gets our one line
            state = torch.load(path, map_location="cpu", weights_only=True)["model"]
        inputs, classes = state["recurrent.weight_ih_l0"].shape[1], len(state["linear2.weight"])
        classifier = Classifier(inputs, classes)
        classifier.load_state_dict(state)
    except Exception as error:  # a damaged or foreign file fails in as many ways as there are files
        raise MotionganError(f"{path}: not an action classifier of Action2Motion ({type(error).__name__})") from error
    if (inputs, classes) not in CONVENTIONS:
        why = "; NTU's joints include ears, which a motion file has not" if inputs == 54 else ""
        known = " or ".join(f"{convention.name}" for convention in CONVENTIONS.values())
        raise MotionganError(f"{path}: {inputs} inputs and {classes} classes{why}; give the one of {known}")
    if not all(bool(value.isfinite().all()) for value in classifier.state_dict().values()):
        raise MotionganError(f"{path}: holds NaN or infinity")
    return classifier.eval(), CONVENTIONS[inputs, classes]


def match_classes(actions: Sequence[str], convention: Convention, given: str | None = None) -> dict[str, int]:
    """Class number of every action that has one: that of its own name, or the one given as "action=class,...".

    "action=" leaves an action out that has a class of its name.
    """
    classes = {name: number for number, name in enumerate(convention.classes)}
    matched = {action: classes[_plain(action)] for action in actions if _plain(action) in classes}
    for pair in given.split(",") if given else []:
        action, sign, name = (part.strip() for part in pair.partition("="))
        if not sign:
            raise MotionganError(f"--class-map {pair}: expected action=class,action=class")
        if action not in actions:
            raise MotionganError(f"--class-map: no action `{action}` to measure{did_you_mean(action, actions)}")
        if name and _plain(name) not in classes:
            hint = did_you_mean(_plain(name), classes) or f"; it has {', '.join(classes)}"
            raise MotionganError(f"--class-map: {convention.name}'s classifier has no class `{name}`{hint}")
        matched.pop(action, None)
        if name:
            matched[action] = classes[_plain(name)]
    return {action: matched[action] for action in actions if action in matched}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
