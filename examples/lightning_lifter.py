"""The lifter of lifter.py as a Lightning module, trained on captured motion and a generator that makes more on the fly.

    pip install lightning
    python examples/lightning_lifter.py --real amass.h5 --checkpoint runs/first/model.safetensors

No file of generated motion is needed. Batches, and with several processes their shares, come from motiongan's own
batch sampler: tell the Trainer use_distributed_sampler=False.
"""

import argparse
from typing import Any

import lightning
import torch
from lifter import FRAMES, JOINTS, TemporalLifter, observe
from numpy.random import SeedSequence
from torch import Tensor
from torch.utils.data import DataLoader

from motiongan.augmentation import Anneal, GeneratedStream, MotionDataset, mix


class LightningLifter(lightning.LightningModule):
    """Cameras and detector noise are drawn in the training step, on the device of the batch."""

    def __init__(self, channels: int = 256, seed: int = 0) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lifter = TemporalLifter(channels=channels)

    def on_train_epoch_start(self) -> None:
        """Other draws in each process and each epoch; a training that is resumed goes on with the same ones.

        Not made by the constructor: a generator cannot be sent to a process that is started by spawn.
        """
        mixed = SeedSequence([self.hparams["seed"], self.global_rank, self.current_epoch])
        self.draws = torch.Generator().manual_seed(int(mixed.generate_state(1, "uint64")[0]))

    def training_step(self, batch: dict[str, Tensor], number: int) -> Tensor:
        keypoints, confidence, target = observe(batch[JOINTS], self.draws)
        error = (self.lifter(keypoints, confidence) - target).norm(dim=-1).mean()
        self.log("mpjpe_mm", 1000 * error, prog_bar=True)
        return error

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class MixedMotion(lightning.LightningDataModule):
    """Real windows, and generated ones of the same actions: half of each batch at first, a fifth in the end."""

    def __init__(
        self, real: str, checkpoint: str, *, batch_size: int = 64, epochs: int = 20, num_workers: int = 0
    ) -> None:
        super().__init__()
        self.real, self.checkpoint = real, checkpoint
        self.batch_size, self.epochs, self.num_workers = batch_size, epochs, num_workers

    def train_dataloader(self) -> DataLoader[Any]:
        fields = (JOINTS, "action")
        real = MotionDataset(self.real, FRAMES, 5, fields)
        generated = GeneratedStream(self.checkpoint, batch=32, window=FRAMES, fields=fields)
        return mix(real, generated, schedule=Anneal(0.5, 0.2, self.epochs)).loader(
            self.batch_size, num_workers=self.num_workers
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", required=True, help="motion file of captured clips")
    parser.add_argument("--checkpoint", required=True, help="model file of `motiongan train`")
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    trainer = lightning.Trainer(max_epochs=arguments.epochs, use_distributed_sampler=False)
    trainer.fit(LightningLifter(), MixedMotion(arguments.real, arguments.checkpoint, epochs=arguments.epochs))


if __name__ == "__main__":
    main()
