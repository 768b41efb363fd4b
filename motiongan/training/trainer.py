"""The training steps of the autoencoder and of the GAN, free of files, logging and printing."""

import math
from collections.abc import Callable, Iterator
from dataclasses import astuple
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from motiongan.body.anatomy import centre_of_mass
from motiongan.body.kinematics import Skeleton
from motiongan.losses.adversarial import (
    ADVERSARIAL_LOSSES,
    began_balance,
    began_convergence,
    clip_weights,
    interpolates,
)
from motiongan.losses.kinematic import floating_loss, ground_clearance, jerk, kinematic_losses
from motiongan.models.augment import augment
from motiongan.models.blocks import masked
from motiongan.models.discriminator import DISCRIMINATORS, spectrally_normalised
from motiongan.models.generator import draw_noise_batch
from motiongan.models.motion_model import MotionModel
from motiongan.motion.features import VIEW_CHANNELS, Motion, Normalisation, decode, motion_view
from motiongan.motion.windows import Batch, WindowSampler
from motiongan.training.config import TrainConfig
from motiongan.training.ema import averaged_copy, ema_decay, update_average

# Frames drawn to measure normalisation and the jerk of real motion, in batches of 64 windows.
_STATISTICS_BATCHES = 32
_JERK_QUANTILE = 0.999
_HANGING = 0.02  # metres, mean over an action's frames: recordings of flight and falls stay far below


class Trainer:
    """Trains a MotionModel: first the autoencoder (if the recipe has one), then generator against discriminator.

    All randomness comes from one CPU generator, so `state()` and `load_state()` continue bit for bit.
    skeleton   the body on which motion is judged: one for all clips, since features know no body size
    """

    def __init__(
        self,
        config: TrainConfig,
        sampler: WindowSampler,
        num_actions: int,
        skeleton: Skeleton,
        frame_rate: float,
        device: torch.device,
    ) -> None:
        self.config, self.sampler, self.frame_rate, self.device = config, sampler, frame_rate, device
        self.skeleton = skeleton.to(device)
        self.random = torch.Generator().manual_seed(config.training.seed)
        with torch.random.fork_rng(devices=[]):  # layers draw their first weights from the global stream
            torch.manual_seed(config.training.seed)
            self.model = MotionModel(config.generator, config.autoencoder, num_actions, config.data.window).to(device)
            self.two_stage = self.model.autoencoder is not None
            channels = config.autoencoder.latent if self.two_stage else VIEW_CHANNELS
            steps = self.model.num_steps(config.data.window) if self.two_stage else config.data.window
            self.discriminator = DISCRIMINATORS[config.discriminator.kind](
                config.discriminator, num_actions, channels, steps
            ).to(device)
            self.game = ADVERSARIAL_LOSSES[config.losses.adversarial]
            if self.game.bound == "spectral":
                spectrally_normalised(self.discriminator)
        self._measure_data(num_actions)
        self.average = averaged_copy(self.model.generator)
        self.autoencoder_step_count = 0
        self.gan_step_count = 0
        rate, betas = config.training.learning_rate, (0.0, 0.99)
        self.generator_optimizer = torch.optim.Adam(self.model.generator.parameters(), lr=rate, betas=betas)
        self.discriminator_optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=rate, betas=betas)
        self.autoencoder_optimizer: torch.optim.Adam | None = None
        if self.model.autoencoder:
            self.autoencoder_optimizer = torch.optim.Adam(
                self.model.autoencoder.parameters(), lr=config.training.autoencoder_rate, betas=(0.9, 0.99)
            )
        self.discriminator_updates = config.losses.discriminator_updates or self.game.updates
        self.balance = torch.zeros((), device=device)  # k of BEGAN, moved in place
        self.discriminator_loss = self.game.discriminator_loss
        if self.game.balanced:
            self.discriminator_loss = partial(self.discriminator_loss, balance=self.balance)

    @property
    def num_steps(self) -> int:
        """All steps of the run, autoencoder and GAN."""
        return self.config.autoencoder.steps + self.config.training.steps

    @property
    def step_count(self) -> int:
        return self.autoencoder_step_count + self.gan_step_count

    def step(self) -> dict[str, float | Tensor]:
        """One training step of the stage that is due; returns its losses (0-dim tensors, not yet synchronised)."""
        if self.autoencoder_step_count < self.config.autoencoder.steps:
            losses = self._autoencoder_step()
            self.autoencoder_step_count += 1
            if self.autoencoder_step_count == self.config.autoencoder.steps:
                self._measure_latents()
        else:
            losses = self._gan_step()
            self.gan_step_count += 1
        return losses

    # -- first stage ---------------------------------------------------------------------------------------------

    def _autoencoder_step(self) -> dict[str, float | Tensor]:
        autoencoder, optimizer = self.model.autoencoder, self.autoencoder_optimizer
        assert autoencoder is not None
        assert optimizer is not None
        config = self.config
        batch = self.sampler.draw(config.autoencoder.batch_size, generator=self.random)
        done = self.autoencoder_step_count / config.autoencoder.steps
        _set_rate(optimizer, config.training.autoencoder_rate * _cosine(done))
        features = masked(self.model.normalisation.apply(batch.features), batch.mask)
        with self._autocast():
            mean, log_variance, tokens = autoencoder.posterior_of(features, batch.mask)
            noise = torch.randn(mean.shape, generator=self.random).to(self.device)
            decoded = autoencoder.decode_raw(mean + noise * (0.5 * log_variance).exp(), tokens)
        decoded, mean, log_variance = decoded.float(), mean.float(), log_variance.float()
        frames, valid = batch.mask[..., None], tokens[..., None]
        reconstruction = _mean_where((decoded - features).square(), frames)
        # Positions and velocities are what the eye judges; Huber, since fast frames are not all that counts.
        with torch.no_grad():
            wanted = self.view_normalisation.apply(self._view(batch.features))
        seen = self.view_normalisation.apply(self._view(self.model.normalisation.invert(decoded)))
        view = _mean_where(nn.functional.smooth_l1_loss(seen, wanted, reduction="none"), frames)
        # The error's change from frame to frame: noise that the eye sees as trembling long before it costs in position.
        steady = frames[:, 1:] & frames[:, :-1]
        trembling = _mean_where((seen - wanted).diff(dim=1).square(), steady)
        divergence = _mean_where(0.5 * (mean.square() + log_variance.exp() - 1 - log_variance), valid)
        loss = reconstruction + 2 * view + 2 * trembling + config.autoencoder.kl * divergence
        _update(optimizer, loss, autoencoder.parameters())
        return {
            "autoencoder/loss": loss.detach(),
            "autoencoder/features": reconstruction.detach(),
            "autoencoder/view": view.detach(),
            "autoencoder/trembling": trembling.detach(),
            "autoencoder/kl": divergence.detach(),
        }

    # -- second stage --------------------------------------------------------------------------------------------

    def _gan_step(self) -> dict[str, float | Tensor]:
        """Draw, generate, discriminator's update, generator's update, average. Real and fake clips pair by action."""
        config = self.config
        rate = config.training.learning_rate * (0.1 + 0.9 * _cosine(self.gan_step_count / config.training.steps))
        _set_rate(self.generator_optimizer, rate)
        _set_rate(self.discriminator_optimizer, rate)
        for _ in range(self.discriminator_updates):  # the last batch goes on to the generator
            batch = self.sampler.draw(config.training.batch_size, generator=self.random)
            real, mask = self._real(batch)
            noise = draw_noise_batch(
                len(real), self.model.num_steps(batch.mask.shape[1]), config.generator, generator=self.random
            ).to(self.device)
            with self._autocast():
                sequence = self.model.generator(noise, batch.actions)
            sequence = sequence.float()
            fake = self._seen(sequence)
            real_logits, judged = self._discriminator_update(real, fake.detach(), mask, batch.actions)

        # The real logits only shift each pair's working point: those from before the update serve as well.
        self.discriminator.requires_grad_(False)
        fake_again = self.discriminator(*self._augment(fake, mask), batch.actions)
        self.discriminator.requires_grad_(True)
        generator_loss = self.game.generator_loss(real_logits, fake_again)
        kinematic, terms = self._kinematic(sequence, mask, batch)
        generator_norm = _update(
            self.generator_optimizer, generator_loss + kinematic, self.model.generator.parameters()
        )
        update_average(self.average, self.model.generator, ema_decay(self.gan_step_count, config.training.ema_share))
        if self.game.balanced:
            judged |= self._move_balance(-real_logits.mean(), -fake_again.detach().mean())
        return {
            **judged,
            "generator/loss": generator_loss.detach(),
            "generator/gradient": generator_norm,
            **{f"kinematic/{name}": value.detach() for name, value in terms.items()},
        }

    def _discriminator_update(
        self, real: Tensor, fake: Tensor, mask: Tensor, actions: Tensor
    ) -> tuple[Tensor, dict[str, float | Tensor]]:
        """One update, with the game's penalty and bound; returns the real logits, detached, and its figures."""
        losses, game = self.config.losses, self.game
        real_input, real_mask = self._augment(real, mask)
        fake_input, fake_mask = self._augment(fake, mask)
        real_input.requires_grad_()
        fake_input.requires_grad_()
        real_logits = self.discriminator(real_input, real_mask, actions)
        fake_logits = self.discriminator(fake_input, fake_mask, actions)
        discriminator_loss = total = self.discriminator_loss(real_logits, fake_logits)
        figures: dict[str, float | Tensor] = {"discriminator/loss": discriminator_loss.detach()}
        if game.penalty:
            seen = {"real": (real_input, real_logits), "fake": (fake_input, fake_logits)}
            if "between" in game.penalised:
                between, between_mask = self._augment(interpolates(real, fake, generator=self.random), mask)
                between.requires_grad_()
                seen["between"] = (between, self.discriminator(between, between_mask, actions))
            penalty = torch.stack([game.penalty(*seen[where]) for where in game.penalised]).sum(0)
            weight = losses.unit_slope if "between" in game.penalised else 0.5 * losses.gamma
            total = discriminator_loss + weight * penalty.mean()
            figures["discriminator/penalty"] = penalty.detach().mean()
        figures["discriminator/gradient"] = _update(
            self.discriminator_optimizer, total, self.discriminator.parameters()
        )
        if game.bound == "clip":
            clip_weights(self.discriminator, losses.clip)
        # 0.5: cannot tell; 1: the discriminator has overtaken the generator.
        figures["discriminator/pairs_right"] = (real_logits > fake_logits).float().mean()
        return real_logits.detach(), figures

    def _move_balance(self, real_error: Tensor, fake_error: Tensor) -> dict[str, float | Tensor]:
        """Move BEGAN's k by the errors of this step; returns k and the measure of convergence."""
        losses = self.config.losses
        self.balance.copy_(
            began_balance(self.balance, real_error, fake_error, losses.diversity_ratio, losses.balance_rate)
        )
        return {
            "discriminator/balance": self.balance.clone(),
            "discriminator/convergence": began_convergence(real_error, fake_error, losses.diversity_ratio),
        }

    def _real(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the discriminator sees of real windows, and its mask."""
        with torch.no_grad():
            if self.model.autoencoder:
                return self.model.autoencoder.encode(self.model.normalisation.apply(batch.features), batch.mask)
            return self.view_normalisation.apply(self._view(batch.features)), batch.mask

    def _seen(self, sequence: Tensor) -> Tensor:
        """What the discriminator sees of a generated sequence."""
        if self.two_stage:
            return sequence
        return self.view_normalisation.apply(self._view(self.model.features(sequence)))

    def _kinematic(self, sequence: Tensor, mask: Tensor, batch: Batch) -> tuple[Tensor | float, dict[str, Tensor]]:
        """Weighted sum of the kinematic losses, ramped in, and its terms; some clips of the batch stand for all."""
        losses, count = self.config.losses, self.config.losses.kinematic_clips
        share = self.gan_step_count / self.config.training.steps
        ramp = min(1.0, max(0.0, (share - losses.kinematic_from) / (losses.kinematic_full - losses.kinematic_from)))
        if ramp == 0 or not any(astuple(losses.kinematic)):
            return 0.0, {}
        features = self.model.features(sequence[:count], mask[:count] if self.two_stage else None)
        motion = decode(features, self.skeleton, self.frame_rate)
        terms = kinematic_losses(
            motion.local_rotations,
            motion.joints,
            motion.soles,
            motion.contacts,
            batch.mask[:count],
            frame_rate=self.frame_rate,
            jerk_limit=self.jerk_limit,
            weights=losses.kinematic,
            grounded=self.grounded[batch.actions[:count]],
        )
        return ramp * losses.kinematic.total(terms), terms

    # -- data statistics -----------------------------------------------------------------------------------------

    def _measure_data(self, num_actions: int) -> None:
        """Normalisation of features and view, the jerk that real motion shows, and which actions need only the ground.

        From random windows. An action whose recordings hang in the air without falling has a support that we do not
        see (climbing, stairs): the losses of floating and flight leave it out.
        """
        random = torch.Generator().manual_seed(self.config.training.seed)
        batches = [self.sampler.draw(64, generator=random) for _ in range(_STATISTICS_BATCHES)]
        frames = torch.cat([batch.features[batch.mask] for batch in batches])
        statistics = Normalisation.of(frames)
        self.model.feature_mean, self.model.feature_std = statistics.mean, statistics.std
        views, jerks = [], []
        air: dict[int, list[Tensor]] = {action: [] for action in range(num_actions)}
        for batch in batches:
            motion = self._decode(batch.features)
            clearance, mass_centre = ground_clearance(motion.joints, motion.soles), centre_of_mass(motion.joints)
            for action in batch.actions.unique().tolist():
                rows = batch.actions == action
                air[action].append(floating_loss(mass_centre[rows], clearance[rows], batch.mask[rows], self.frame_rate))
            views.append(motion_view(motion, self.frame_rate)[batch.mask])
            valid = batch.mask[:, 3:]
            jerks.append(jerk(motion.joints, self.frame_rate)[valid])
        self.view_normalisation = Normalisation.of(torch.cat(views), floor=0.02)
        hanging = [torch.stack(heights).mean() if heights else torch.zeros(()) for heights in air.values()]
        self.grounded = (torch.stack([height.cpu() for height in hanging]) < _HANGING).float().to(self.device)
        # Sorted by hand: torch's quantile stops at 2^24 values.
        limit = torch.cat(jerks).cpu().sort(dim=0).values
        self.jerk_limit = limit[int(_JERK_QUANTILE * (len(limit) - 1))].to(self.device)

    @torch.no_grad()
    def _measure_latents(self) -> None:
        """Standardise the latents by the training windows, so that the GAN meets unit variance."""
        autoencoder = self.model.autoencoder
        assert autoencoder is not None
        random = torch.Generator().manual_seed(self.config.training.seed)
        latents = []
        for _ in range(_STATISTICS_BATCHES):
            batch = self.sampler.draw(64, generator=random)
            mean, _, tokens = autoencoder.posterior_of(self.model.normalisation.apply(batch.features), batch.mask)
            latents.append(mean[tokens])
        statistics = Normalisation.of(torch.cat(latents), floor=1e-3)
        autoencoder.mean, autoencoder.std = statistics.mean, statistics.std

    # -- state ---------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """All that continues the run: weights, average, optimisers, counters, random state."""
        return {name: read() for name, read, _ in self._parts()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        for name, _, write in self._parts():
            write(state[name])

    def load_autoencoder(self, weights: dict[str, Tensor]) -> None:
        """Take over a trained autoencoder, with its normalisation, from a model's weights; the first stage is done."""
        own = self.model.state_dict()
        taken = {name: value for name, value in weights.items() if not name.startswith("generator.")}
        self.model.load_state_dict({**own, **taken})
        self.autoencoder_step_count = self.config.autoencoder.steps

    def _parts(self) -> Iterator[tuple[str, Callable[[], Any], Callable[[Any], Any]]]:
        for name, part in (
            ("model", self.model),
            ("average", self.average),
            ("discriminator", self.discriminator),
            ("generator_optimizer", self.generator_optimizer),
            ("discriminator_optimizer", self.discriminator_optimizer),
        ):
            yield name, part.state_dict, part.load_state_dict
        if self.autoencoder_optimizer:
            yield (
                "autoencoder_optimizer",
                self.autoencoder_optimizer.state_dict,
                self.autoencoder_optimizer.load_state_dict,
            )
        if self.game.balanced:
            yield "balance", self.balance.clone, self.balance.copy_
        yield "random", self.random.get_state, self.random.set_state
        yield "steps", lambda: [self.autoencoder_step_count, self.gan_step_count], self._set_counts

    def _set_counts(self, counts: list[int]) -> None:
        self.autoencoder_step_count, self.gan_step_count = counts

    # -- small helpers -------------------------------------------------------------------------------------------

    def _augment(self, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return augment(values, mask, self.config.augment, generator=self.random)

    def _decode(self, features: Tensor) -> Motion:
        return decode(features, self.skeleton, self.frame_rate)

    def _view(self, features: Tensor) -> Tensor:
        return motion_view(self._decode(features), self.frame_rate)

    def _autocast(self) -> torch.autocast:
        cuda = self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=cuda and self.config.training.bf16)


def _update(optimizer: torch.optim.Optimizer, loss: Tensor, parameters: Iterator[nn.Parameter]) -> Tensor:
    """One optimiser step; returns the norm of the gradient."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(parameters, 10.0)
    optimizer.step()
    return norm


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def _cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _mean_where(values: Tensor, where: Tensor) -> Tensor:
    """Mean over the True rows of `where`, (batch, steps, 1), and all channels."""
    return (values * where).sum() / (where.sum() * values.shape[-1]).clamp(min=1)
