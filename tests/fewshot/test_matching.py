"""Which weights count as an edge's own where gradients are matched, on a real supernet."""

import jax
import jax.numpy as jnp
import numpy as np

from dnas.fewshot import operation_gradients, without_own
from dnas.types import Batch
from search_spaces import nasbench201


def test_on_nasbench201_what_is_left_out_are_the_parameters_of_the_edge_s_modules() -> None:
    space = nasbench201.space(classes=2, channels=2, cells=1, ops=("none", "skip_connect", "nor_conv_1x1"))
    x = jax.random.normal(jax.random.key(0), (4, 8, 8, 1))
    variables = jax.jit(space.init)(jax.random.key(1), x)
    edge, name = 3, "edge_3_0"
    batch = Batch(x, jnp.arange(4) % 2)
    gradients = operation_gradients(space, "cell")(variables, {"cell": jnp.full((6, 3), 1 / 3)}, edge, batch)
    kept = without_own(gradients, [0, 1, 2])
    for (path, leaf), whole in zip(
        jax.tree_util.tree_leaves_with_path(kept[2]), jax.tree.leaves(gradients), strict=True
    ):
        expected = np.zeros_like(leaf) if name in jax.tree_util.keystr(path) else whole[2]
        np.testing.assert_array_equal(leaf, expected, err_msg=jax.tree_util.keystr(path))
    assert any(name in jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(kept[2]))
