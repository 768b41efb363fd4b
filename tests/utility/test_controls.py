import numpy as np

from motiongan.motion.store import write_clips
from motiongan.utility.controls import gaussian_clips, noise_clips
from motiongan.utility.few import read_split


def test_noise_turns_every_joint_smoothly_and_knows_nothing_of_the_clips(make_clip):
    clips = [make_clip(0, action="walk"), make_clip(1, action="squat")]
    made = noise_clips(clips, 3, seed=0)
    assert sorted(clip.action for clip in made) == ["squat"] * 3 + ["walk"] * 3
    spread = np.concatenate([clip.poses[:, 1:] for clip in made]).std()
    assert abs(spread - 0.6) < 0.03
    step = np.concatenate([np.diff(clip.poses[:, 1:], axis=0) for clip in made]).std()
    assert step < 0.1 * spread
    assert all(np.array_equal(one.poses, two.poses) for one, two in zip(made, noise_clips(clips, 3, seed=0)))


def test_the_gaussian_makes_clips_of_every_action_near_the_few(tmp_path, make_clip, monkeypatch):
    monkeypatch.setattr("motiongan.training.rivals._BATCHES", 2)
    monkeypatch.setattr("motiongan.training.trainer._STATISTICS_BATCHES", 2)
    clips = [
        make_clip(4 * person + number, num_frames=70, action=action, subject=name)
        for person, name in enumerate(("anna", "ben"))
        for number, action in enumerate(("walk", "squat"))
    ]
    write_clips(tmp_path / "real.h5", clips, kind="captured")
    split = read_split(tmp_path / "real.h5", per_action=1, held_out="ben")
    made = gaussian_clips(split, 2, seed=0)
    assert sorted(clip.action for clip in made) == ["squat"] * 2 + ["walk"] * 2
    (walk,) = [clip for clip in split.few if clip.action == "walk"]
    drawn = next(clip for clip in made if clip.action == "walk")
    assert np.abs(drawn.poses[:, 1:22]).mean() < 2 * np.abs(walk.poses[:, 1:22]).mean() + 0.1
