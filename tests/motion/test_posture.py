"""Mixed postures: a share of another clip's mean and reach for trunk and arms; legs and feet stay as they were."""

import pytest
import roma
import torch
from torch import Tensor
from torch.testing import assert_close

from motiongan.body.skeleton import JOINT, NUM_MOVING_JOINTS
from motiongan.motion.features import NUM_FEATURES, ROTATIONS, rotation_6d, rotation_from_6d
from motiongan.motion.posture import Postures

ELBOW, KNEE = JOINT["left_elbow"], JOINT["left_knee"]
FRAMES = 60
CPU = torch.device("cpu")


def swinging(mean: float, reach: float, seed: int = 0) -> Tensor:
    """Features of a clip whose left elbow and knee turn about Y as mean + reach sin, radians; the rest is noise."""
    angle = mean + reach * torch.sin(torch.linspace(0, 6 * torch.pi, FRAMES + 1)[:-1])
    turns = torch.zeros(FRAMES, NUM_MOVING_JOINTS, 3)
    turns[:, ELBOW, 1] = turns[:, KNEE, 1] = angle
    features = torch.randn(FRAMES, NUM_FEATURES, generator=torch.Generator().manual_seed(seed))
    features[:, ROTATIONS] = rotation_6d(roma.rotvec_to_rotmat(turns)).flatten(1)
    return features


def angles(features: Tensor, joint: int) -> Tensor:
    rotations = rotation_from_6d(features[..., ROTATIONS].unflatten(-1, (NUM_MOVING_JOINTS, 6))[..., joint, :])
    return roma.rotmat_to_rotvec(rotations)[..., 1]


def mixed(clips: list[Tensor], share: float) -> Tensor:
    """The whole of the first clip with a share of the second's posture."""
    batch = torch.tensor([0])
    rows = torch.arange(FRAMES)[None]
    return Postures(clips, CPU).mix(clips[0][None], rows, batch, batch + 1, torch.tensor([share]))[0]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_mean_and_reach_of_a_joint_move_by_the_share(share):
    clips = [swinging(0.2, 0.3), swinging(0.7, 0.36, seed=1)]
    result = angles(mixed(clips, share), ELBOW)
    assert_close(result.mean(), torch.tensor(0.2 + 0.5 * share), atol=1e-4, rtol=0)
    reach = (result.max() - result.min()) / 2
    assert_close(reach, torch.tensor(0.3 * (0.36 / 0.3) ** share), atol=2e-3, rtol=0)


def test_legs_pelvis_velocity_and_contacts_stay(stick_body):
    clips = [swinging(0.2, 0.3), swinging(0.7, 0.4, seed=1)]
    result = mixed(clips, 1.0)
    assert_close(result[:, ROTATIONS.stop :], clips[0][:, ROTATIONS.stop :])
    assert_close(angles(result, KNEE), angles(clips[0], KNEE))


def test_a_share_of_nothing_or_of_itself_changes_nothing():
    clips = [swinging(0.2, 0.3), swinging(0.7, 0.4, seed=1)]
    assert_close(mixed(clips, 0.0), clips[0], atol=1e-5, rtol=0)
    assert_close(mixed([clips[0], clips[0]], 0.8), clips[0], atol=1e-5, rtol=0)


def test_a_still_joint_is_not_made_to_flail():
    """A movement of a hundredth of a radian does not grow by the ratio of the two reaches, which is 40."""
    result = angles(mixed([swinging(0.0, 0.01), swinging(0.0, 0.4, seed=1)], 1.0), ELBOW)
    assert result.abs().max() < 0.016
