"""The optimisers and schedules of the DARTS family, as Optax transformations (arXiv:1806.09055, appendix A).

Weight decay here is L2 inside the gradient, before momentum or Adam's moments, as PyTorch applies it.
"""

import jax.numpy as jnp
import numpy as np
import optax

from dnas.errors import UserError


def cosine_by_epoch(peak: float, floor: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """Return a cosine from `peak` to `floor` that is constant within an epoch; the first epoch has exactly `peak`.

    The last epoch still stands one epoch above `floor`, and the schedule stays at `floor` afterwards.
    """

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        epoch = jnp.minimum(jnp.asarray(count) // steps_per_epoch, epochs)
        return floor + 0.5 * (peak - floor) * (1.0 + jnp.cos(jnp.pi * epoch / epochs))

    return schedule


def cosine_power_by_epoch(
    peak: float, floor: float, epochs: int, steps_per_epoch: int, power: float = 2.0, warmup: int = 0
) -> optax.Schedule:
    """Return the cosine power annealing of sharpDARTS (arXiv:1903.09900), constant within an epoch.

    With c(t) = (1 + cos(pi t / epochs)) / 2 and t from 1, the learning rate is power^(1 + c(t)), brought linearly to
    the range from `peak`, exactly the first epoch's, to `floor`, exactly the last one's. Order 1 is the limit, c(t)
    itself so scaled; the greater the order, the faster the fall. The schedule then stays at its last value.

    The warm-up is the reference code's (ahundt/sharpDARTS, `cosine_power_annealing.py`): epochs 1 to `warmup + 1`
    have the fractions t / (warmup + 1) of the range, and the rest of the curve is that of `epochs - warmup` epochs,
    counted from `warmup`, scaled by its value at t = 0.

    Args:
        peak: greatest learning rate.
        floor: least one.
        epochs: epochs in all, with the warm-up.
        steps_per_epoch: steps of an epoch.
        power: order, at least 1.
        warmup: epochs that the curve is delayed by; 0: none.

    Raises:
        UserError: if `power` is less than 1, or no epoch is left after the warm-up.
    """
    if power < 1:
        raise UserError(f"power: expected an order of at least 1, got {power}")
    if not 0 <= warmup < epochs:
        raise UserError(f"warmup: expected from 0 to {epochs - 1} of {epochs} epochs, got {warmup}")
    time = np.arange(1, epochs + 1)
    cosine = (1 + np.cos(np.pi * (time - warmup) / (epochs - warmup))) / 2
    curve = cosine if power == 1 else (power**cosine - 1) / (power - 1)
    if warmup:
        curve = np.where(time <= warmup + 1, time / (warmup + 1), curve)
    elif epochs > 1:
        curve = curve / curve[0]
    else:
        curve = np.ones(1)
    return _by_epoch(peak - (1 - curve) * (peak - floor), steps_per_epoch)


def warmup_cosine_by_epoch(
    peak: float, floor: float, epochs: int, steps_per_epoch: int, warmup: int = 5
) -> optax.Schedule:
    """Return PC-DARTS' schedule for ImageNet: a linear warm-up, then the cosine that has run on meanwhile.

    As in the reference code (yuhuixu1993/PC-DARTS, `train_search_imagenet.py`): epoch e, from 0, has
    `peak * (e + 1) / warmup` while e < `warmup`, and from then on what `cosine_by_epoch` has at e. It stays at `floor`
    after the last epoch.

    Args:
        peak: greatest learning rate, reached in the last epoch of the warm-up.
        floor: what the cosine ends at.
        epochs: epochs in all.
        steps_per_epoch: steps of an epoch.
        warmup: epochs of the warm-up; 0: none.

    Raises:
        UserError: if the warm-up is longer than the whole.
    """
    if not 0 <= warmup <= epochs:
        raise UserError(f"warmup: expected from 0 to {epochs} epochs, got {warmup}")
    epoch = np.arange(epochs + 1)
    cosine = floor + (peak - floor) * (1 + np.cos(np.pi * epoch / epochs)) / 2
    return _by_epoch(np.where(epoch < warmup, peak * (epoch + 1) / max(warmup, 1), cosine), steps_per_epoch)


def warm_up_epochs(share: float, epochs: int) -> int:
    """Return the length of a warm-up that is given as a share of a search, so that it scales with its other schedules.

    Args:
        share: of the epochs, at least 0 and less than 1.
        epochs: epochs in all.

    Raises:
        UserError: for a share outside of this range.
    """
    if not 0 <= share < 1:
        raise UserError(f"share of the epochs for a warm-up: expected at least 0 and less than 1, got {share}")
    return round(share * epochs)


def _by_epoch(values: np.ndarray, steps_per_epoch: int) -> optax.Schedule:
    """Return the schedule with one value for each epoch, the last one ever after."""

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        epoch = jnp.minimum(jnp.asarray(count) // steps_per_epoch, len(values) - 1)
        return jnp.asarray(values, jnp.float32)[epoch]

    return schedule


def clipped_sgd(
    learning_rate: optax.ScalarOrSchedule,
    momentum: float,
    weight_decay: float,
    clip_norm: float,
    nesterov: bool = False,
) -> optax.GradientTransformation:
    """Return SGD with momentum: clip by global norm (0: do not), then decay, then momentum, then the learning rate.

    Nesterov's momentum has the form of PyTorch and Optax: a gradient plus the decayed new trace.
    """
    return optax.chain(
        optax.clip_by_global_norm(clip_norm) if clip_norm > 0 else optax.identity(),
        optax.add_decayed_weights(weight_decay),
        optax.trace(decay=momentum, nesterov=nesterov),
        optax.scale_by_learning_rate(learning_rate),
    )


def l2_adam(
    learning_rate: optax.ScalarOrSchedule, beta1: float, beta2: float, weight_decay: float
) -> optax.GradientTransformation:
    """Return Adam whose weight decay is added to the gradient before the moments (not AdamW)."""
    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.scale_by_adam(b1=beta1, b2=beta2, eps=1e-8),
        optax.scale_by_learning_rate(learning_rate),
    )
