"""Training a stand-alone network from scratch, as a value (DARTS, arXiv:1806.09055, appendix A.2)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas.tasks import classification, first_metric, scalar_loss
from dnas.types import Array, Batch, Network, Output, Params, PRNGKey, Stats, Task, Variables


class TrainState(NamedTuple):
    """Everything that training carries from step to step, as one pytree."""

    params: Params
    stats: Stats
    opt: Any
    key: PRNGKey
    step: Array


class TrainInfo(NamedTuple):
    """What one training step reports, as float32 scalars; the accuracy is the first metric of the network's task."""

    train_loss: Array
    train_accuracy: Array


class Training(NamedTuple):
    """The training of a network as a value.

    Attributes:
        init: `(key, x) -> TrainState`; `x` is an example input, such as `(B, H, W, C)` images.
        step: `(state, batch) -> (state, TrainInfo)`; pure.
        predict: `(state, x) -> outputs` in evaluation mode.
    """

    init: Callable[[PRNGKey, Any], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, TrainInfo]]
    predict: Callable[[TrainState, Any], Any]


def supervised(
    network: Network,
    optimizer: optax.GradientTransformation,
    *,
    drop_path: Callable[[Array], Array] | float = 0.0,
    auxiliary_weight: float = 0.4,
    task: Task | None = None,
) -> Training:
    """Return the supervised training of `network`.

    Args:
        network: what is trained.
        optimizer: updates its weights.
        drop_path: probability with which drop path zeroes a sample's path, constant or as a function of the step.
        auxiliary_weight: factor of the auxiliary head's loss, where there is one.
        task: what the outputs are for; `None`: classification.
    """
    own = classification() if task is None else task

    def init(key: PRNGKey, x: Any) -> TrainState:
        key_weights, key_steps = jax.random.split(key)
        variables = network.init(key_weights, x)
        return TrainState(
            variables.params, variables.stats, optimizer.init(variables.params), key_steps, jnp.zeros((), jnp.int32)
        )

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, TrainInfo]:
        key = jax.random.fold_in(state.key, state.step)
        rate = drop_path(state.step) if callable(drop_path) else drop_path

        def objective(params: Params) -> tuple[Array, tuple[Output, Stats]]:
            output, stats = network.apply(Variables(params, state.stats), batch.x, train=True, key=key, drop_path=rate)
            loss = scalar_loss(own, output.logits, batch)
            if output.auxiliary is not None:
                loss = loss + auxiliary_weight * scalar_loss(own, output.auxiliary, batch)
            return loss, (output, stats)

        (loss, (output, stats)), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, opt = optimizer.update(grads, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
        info = TrainInfo(loss, first_metric(own, output.logits, batch))
        return TrainState(params, stats, opt, state.key, state.step + 1), info

    def predict(state: TrainState, x: Any) -> Any:
        return network.apply(Variables(state.params, state.stats), x, train=False)[0].logits

    return Training(init, step, predict)
