"""What the tests of annotations share: the default body's points, and a clip painted with it."""

import pytest
from painted_scene import painted_clip

from motiongan.body.smpl import Body
from motiongan.rendering.frames import RenderedClip
from motiongan.rendering.keypoints import Keypoints, body_keypoints


@pytest.fixture(scope="session")
def keypoints(body: Body) -> Keypoints:
    return body_keypoints(body)


@pytest.fixture(scope="session")
def clip(body: Body) -> RenderedClip:
    """Two people in three frames. Read only: `painted_clip` makes one to change."""
    return painted_clip(body)
