"""Second derivatives exist on real supernets, whose operations have derivatives of their own and run in loops.

Only traced, not compiled: what fails is differentiation, and compiling a supernet takes minutes.
"""

import jax
import jax.numpy as jnp
import pytest

from dnas.hypergradients.unrolled import unrolled
from dnas.optimizers import clipped_sgd, l2_adam
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection import top_edges
from dnas.types import Batch, Batches, SearchSpace
from search_spaces import darts, nasbench201

OPS = ("skip_connect", "max_pool_3x3", "sep_conv_3x3")


@pytest.mark.parametrize(
    "space",
    [
        darts.space(classes=3, channels=2, cells=3, nodes=1, ops=OPS),
        darts.space(classes=3, channels=2, cells=3, nodes=1, ops=OPS, recompute=False),
        # Two cells a stage, which run as a loop.
        nasbench201.space(classes=3, channels=2, cells=2),
    ],
    ids=["darts", "darts-plain", "nasbench201"],
)
def test_a_supernet_can_be_differentiated_twice(space: SearchSpace) -> None:
    search = compose(
        space,
        relaxation=softmax(),
        hypergradient=unrolled(),
        selection=top_edges,
        weight_optimizer=clipped_sgd(0.1, 0.9, 1e-3, 5.0),
        alpha_optimizer=l2_adam(1e-3, 0.5, 0.999, 1e-3),
    )
    batch = Batch(jnp.zeros((4, 8, 8, 3)), jnp.zeros(4, jnp.int32))
    state = jax.eval_shape(search.init, jax.random.key(0), batch.x)
    after, _ = jax.eval_shape(search.step, state, Batches(batch, batch))
    assert jax.tree.map(lambda leaf: leaf.shape, after) == jax.tree.map(lambda leaf: leaf.shape, state)
