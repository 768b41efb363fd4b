import torch

from motiongan.utility.perturbation import Perturbation
from motiongan.utility.posing import BLOCK, FIELD, PosedClips


def counted(lengths, actions):
    """Clips whose joints say where they are: x the clip, y the frame."""
    parts = [
        torch.stack([torch.full((n,), float(i)), torch.arange(float(n)), torch.ones(n)], -1)[:, None].expand(-1, 17, -1)
        for i, n in enumerate(lengths)
    ]
    sizes = torch.tensor(lengths)
    return PosedClips(torch.cat(parts), sizes.cumsum(0) - sizes, sizes, torch.tensor(actions))


def test_test_windows_show_every_frame_of_every_clip_once_with_its_surroundings():
    clips = counted([5, 40], [0, 1])
    blocks = clips.blocks()
    shown = [
        (int(clip), int(frame))
        for clip, valid, window in zip(blocks.clips, blocks.valid, blocks.joints)
        for ok, frame in zip(valid, window[FIELD // 2 : FIELD // 2 + BLOCK, 0, 1])
        if ok
    ]
    assert sorted(shown) == [(0, frame) for frame in range(5)] + [(1, frame) for frame in range(40)]
    assert blocks.joints[1, :, 0, 1].tolist() == [0.0] * 13 + list(range(30))  # 40 frames: the start stands still
    assert (blocks.joints[..., 0, 0] == blocks.clips[:, None]).all()


def test_drawn_windows_are_neighbouring_frames_of_one_clip_and_actions_come_alike():
    clips = counted([30, 300, 30], [0, 0, 1])
    windows = clips.draw(2000, None, generator=torch.Generator().manual_seed(0))
    which = windows[:, 13, 0, 0]
    assert (windows[..., 0, 0] == which[:, None]).all()
    assert windows[..., 0, 1].diff(dim=1).unique().tolist() == [0.0, 1.0]
    assert abs((which == 2).float().mean() - 0.5) < 0.04
    assert abs((which == 1).float().mean() - 0.5 * 300 / 330) < 0.04


def test_perturbed_windows_play_between_the_frames():
    clips = counted([200], [0])
    warp = Perturbation(mirror=0.0, limb=0.0, size=0.0, tilt=0.0)
    windows = clips.draw(50, warp, generator=torch.Generator().manual_seed(0))
    steps = windows[..., 0, 1].diff(dim=1)
    inside = steps[(steps > 0.1).all(1)]
    assert len(inside) > 20
    assert ((inside - inside.round()).abs() > 0.01).any()
