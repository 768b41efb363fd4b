"""Motion into the training of a pose estimator: windows, mixtures, cameras and detections. See docs/augmentation.md."""

from motiongan.augmentation.cameras import CameraSampler, outside, project, screen_coordinates
from motiongan.augmentation.dataset import MotionDataset
from motiongan.augmentation.detector import Detections, Detector2D
from motiongan.augmentation.mixing import Anneal, MixedBatches, Mixture, mix
from motiongan.augmentation.occlusion import BodyOcclusion
from motiongan.augmentation.stream import GeneratedStream

__all__ = [
    "Anneal",
    "BodyOcclusion",
    "CameraSampler",
    "Detections",
    "Detector2D",
    "GeneratedStream",
    "MixedBatches",
    "Mixture",
    "MotionDataset",
    "mix",
    "outside",
    "project",
    "screen_coordinates",
]
