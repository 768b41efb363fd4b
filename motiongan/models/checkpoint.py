"""The model file: one safetensors file with all that generation needs; nothing in it is unpickled.

Tensors: the averaged generator, the decoder, normalisation, the bones of the body model, the distribution of betas.
Metadata (JSON): the recipe, actions, frame rate, window, and where the model comes from.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from motiongan.body.kinematics import BoneShape
from motiongan.devices import check_device, known_device
from motiongan.errors import MotionganError
from motiongan.files import write_whole
from motiongan.models.autoencoder import AutoencoderConfig
from motiongan.models.generator import GeneratorConfig
from motiongan.models.motion_model import MotionModel

MODEL_NAME = "model.safetensors"  # of the model file in its run folder
FORMAT = "motiongan.model"
VERSION = 3  # 1: the style of generators saw where their sines of time begin; 2: clips had no cycle

_Config = TypeVar("_Config", GeneratorConfig, AutoencoderConfig)

# The autoencoder's first half: of no use to generation, and not in the file.
_ENCODER = ("autoencoder.read.", "autoencoder.encoder.", "autoencoder.posterior.")


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a model file holds.

    model        generator (averaged weights) and decoder
    actions      the vocabulary; the index is the generator's action id
    frame_rate   Hz of the motion it makes; window: frames of a training window
    clip_frames  of each action: the length that a clip has where none is asked for
    bones        rest skeleton of the body model for any betas
    betas_mean, betas_factor  shapes of the training subjects: betas = mean + factor @ standard normal
    config       the whole recipe as nested dictionaries
    provenance   training_data (content hash), held_out (subjects), licence, steps, seed, body_model, creator, ...
    """

    model: MotionModel
    actions: tuple[str, ...]
    frame_rate: float
    window: int
    clip_frames: tuple[int, ...]
    bones: BoneShape
    betas_mean: Float[Tensor, "10"]
    betas_factor: Float[Tensor, "10 10"]
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]


def save_model(path: str | Path, file: ModelFile, generator_weights: Mapping[str, Tensor]) -> None:
    """Write a model file beside its target, then rename it.

    generator_weights   the averaged generator's state, in place of the one being trained
    """
    from safetensors.torch import save

    tensors = {f"generator.{name}": value for name, value in generator_weights.items()}
    for name, value in file.model.state_dict().items():
        if not name.startswith(("generator.", *_ENCODER)):
            tensors[name] = value
    tensors |= {f"bones.{field.name}": getattr(file.bones, field.name) for field in dataclasses.fields(BoneShape)}
    tensors |= {"betas.mean": file.betas_mean, "betas.factor": file.betas_factor}
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "actions": json.dumps(file.actions),
        "frame_rate": repr(file.frame_rate),
        "window": str(file.window),
        "clip_frames": json.dumps(file.clip_frames),
        "config": json.dumps(file.config),
        "provenance": json.dumps(file.provenance),
    }
    data = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata)
    write_whole(Path(path), _joined(*_parted(data)))


def amend_provenance(path: str | Path, changes: Mapping[str, Any]) -> None:
    """Change entries of a model file's provenance; its tensors stay as they are, byte for byte."""
    header, tensors = _parted(Path(path).read_bytes())
    metadata = header["__metadata__"]
    metadata["provenance"] = json.dumps(json.loads(metadata["provenance"]) | dict(changes))
    write_whole(Path(path), _joined(header, tensors))


def load_model(path: str | Path, device: torch.device | str = "cpu") -> ModelFile:
    """Read a model file. Raises MotionganError in one line where it is missing, cut off, foreign or newer.

    Also for a device that is unknown or not here.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    metadata = read_metadata(path)
    device = known_device(device, f"device {device}")
    check_device(device, f"device {device}")
    try:
        with safe_open(path, "pt", device=str(device)) as archive:
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118 (not a mapping)
        config = json.loads(metadata["config"])
        actions = tuple(json.loads(metadata["actions"]))
        window = int(metadata["window"])
        model = MotionModel(
            _known(GeneratorConfig, config["generator"]),
            _known(AutoencoderConfig, config["autoencoder"]),
            len(actions),
            window,
        ).to(device)
        bones = BoneShape(
            **{name.removeprefix("bones."): t for name, t in tensors.items() if name.startswith("bones.")}
        )
        weights = {name: t for name, t in tensors.items() if not name.startswith(("bones.", "betas."))}
        missing, unexpected = model.load_state_dict(weights, strict=False)
        lost = [name for name in missing if not name.startswith(_ENCODER)] + list(unexpected)
        if lost:
            raise KeyError(lost[0])
        return ModelFile(
            model=model.requires_grad_(False).eval(),
            actions=actions,
            frame_rate=float(metadata["frame_rate"]),
            window=window,
            clip_frames=tuple(json.loads(metadata.get("clip_frames", "null")) or [window] * len(actions)),
            bones=bones,
            betas_mean=tensors["betas.mean"],
            betas_factor=tensors["betas.factor"],
            config=config,
            provenance=json.loads(metadata["provenance"]),
        )
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:200]
        raise MotionganError(f"{path}: damaged model file ({reason}); train again or give another") from None


def _known(kind: type[_Config], options: dict[str, Any]) -> _Config:
    """The options that this version has: one that is gone only steered training, or the weights will not fit."""
    names = {field.name for field in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in options.items() if name in names})


def read_metadata(path: str | Path) -> dict[str, str]:
    """The metadata of a model file, without its tensors. Raises MotionganError as `load_model` does."""
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if path.is_dir():
        raise MotionganError(f"{path}: is a folder; give the model file in it ({MODEL_NAME})")
    if not path.is_file():
        raise MotionganError(f"{path}: no such model file; `motiongan train` writes {MODEL_NAME}")
    try:
        with safe_open(path, "pt") as archive:
            metadata = dict(archive.metadata() or {})
    except (SafetensorError, OSError):
        raise MotionganError(f"{path}: not a safetensors file, or cut off; expected a motiongan model") from None
    if metadata.get("format") != FORMAT:
        raise MotionganError(f"{path}: not a motiongan model (no `format` = {FORMAT} in its metadata)")
    if not metadata.get("version", "").isdigit() or int(metadata["version"]) > VERSION:
        raise MotionganError(
            f"{path}: model file version {metadata.get('version')}, this motiongan reads up to {VERSION}; update it"
        )
    if int(metadata["version"]) < VERSION:
        raise MotionganError(
            f"{path}: model file version {metadata['version']}, of a generator that is gone; train again"
        )
    return metadata


def _parted(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and the tensors of a safetensors file: 8 bytes length, JSON padded with spaces, tensors."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _joined(header: Mapping[str, Any], tensors: bytes) -> bytes:
    """A safetensors file whose header is sorted: the library's own order of the metadata changes from call to call.

    Equal models are then equal bytes, with one sha256.
    """
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + tensors


def file_hash(path: str | Path) -> str:
    """sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
