"""The optimisers and schedules of the DARTS family, as Optax transformations (arXiv:1806.09055, appendix A).

Weight decay here is L2 inside the gradient, before momentum or Adam's moments, as PyTorch applies it.
"""

import jax.numpy as jnp
import optax


def cosine_by_epoch(peak: float, floor: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """Return a cosine from `peak` to `floor` that is constant within an epoch; the first epoch has exactly `peak`.

    The last epoch still stands one epoch above `floor`, and the schedule stays at `floor` afterwards.
    """

    def schedule(count: optax.ScalarOrSchedule) -> jnp.ndarray:
        epoch = jnp.minimum(jnp.asarray(count) // steps_per_epoch, epochs)
        return floor + 0.5 * (peak - floor) * (1.0 + jnp.cos(jnp.pi * epoch / epochs))

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
