"""Search without training, by zero-cost proxies (Abdelfattah et al., arXiv:2101.08134)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from dnas import plugins
from dnas.arguments import at_least_one
from dnas.compiling import compiler_options
from dnas.errors import UserError
from dnas.evolving import evolving
from dnas.genotype import Genotype
from dnas.hardware.live import live
from dnas.relaxations.single_path import single_path
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection.evolution import Evolution, Scores, rank_means
from dnas.selection.one_hot import single_paths
from dnas.selection.top_edges import top_edges
from dnas.types import (
    Array,
    Batches,
    Between,
    Mixture,
    PRNGKey,
    Search,
    SearchInfo,
    SearchSpace,
    SearchState,
    Variables,
    Workload,
)

PARTS = "nothing is trained: evolutionary search by the summed ranks of zero-cost proxies and of size"
ADVICE = "In minutes, within limits too: a first answer, and a rival that every trained search should beat."

Proxy = Callable[[SearchSpace, Variables, Mixture, Any], Array]


def zero_cost(
    space: SearchSpace,
    *,
    epochs: int = 1,
    steps_per_epoch: int,
    proxies: str = "synflow,jacob_cov",
    complexity: str = "macs",
    population: int = 50,
    generations: int = 10,
    parents: int = 10,
    mutation: float = 0.1,
) -> Search:
    """Return the search that trains nothing and compares architectures by proxies on one minibatch.

    An evolutionary search (`dnas.selection.evolution`) looks for the architecture of the smallest sum of ranks among
    all that were scored, within the space's limits. All are looked at in one supernet with its initial weights.
    `alpha` then is what each operation adds to the sum of ranks, by least squares, in standard deviations.

    The paper's experiments take synflow, jacob_cov and snip by majority vote in comparisons of two; a sum of ranks
    orders any number at once, and snip, which needs labels, is left out. That a network's size counts as one more proxy
    is from AZ-NAS (Lee and Ham, arXiv:2403.19232, whose abstract names complexity among four proxies; that it counts
    FLOPs is recalled). Multiply-adds are those of the derived network; edges that no output depends on count as absent.
    The numbers of the evolutionary search are those of `spos`, with half its generations.

    Steps do nothing but count: what they report is the untrained supernet's loss on the first minibatch.

    Args:
        space: the space to search.
        epochs: as other methods have them; here it is always one, in which nothing happens.
        steps_per_epoch: steps in an epoch.
        proxies: their names, of `dnas.proxies` or a package that offers more, with commas between.
        complexity: a size that counts like one more proxy, the larger the better: `macs`, `params`, or empty for none.
        population: architectures of a generation.
        generations: generations; the first is random.
        parents: architectures, the best so far, that a generation descends from.
        mutation: probability with which a mutation draws an edge anew.

    Raises:
        UserError: for an unknown proxy or size, or a number out of its range.
    """
    at_least_one(epochs=epochs)
    names = [name.strip() for name in proxies.split(",") if name.strip()]
    if not names:
        raise UserError(f"proxies is {proxies!r}: name at least one, such as synflow,jacob_cov")
    if complexity and complexity not in Workload._fields:
        raise UserError(f"complexity is {complexity!r}: choose {' or '.join(Workload._fields)}, or leave it empty")
    chosen = [getattr(plugins.find(plugins.PROXIES, "proxy", name), name) for name in names]
    evolution = Evolution(population, generations, parents, mutation)
    search = compose(
        space,
        relaxation=single_path()._replace(expected=softmax().expected),
        hypergradient=None,
        selection=top_edges,
        weight_optimizer=optax.set_to_zero(),
        alpha_optimizer=optax.set_to_zero(),
    )

    def init(key: PRNGKey, x: Array) -> SearchState:
        # There is no hypergradient; in its place the first step's report is carried on.
        return search.init(key, x)._replace(hypergradient=SearchInfo(*[jnp.zeros(())] * 4))

    def step(state: SearchState, batches: Batches) -> tuple[SearchState, SearchInfo]:
        # Of the step that would be taken only the report is kept; nothing computes its gradients.
        info = lax.cond(
            state.step == 0,
            lambda: search.step(state._replace(hypergradient=()), batches)[1],
            lambda: state.hypergradient,
        )
        return state._replace(hypergradient=info, step=state.step + 1), info

    def scores(state: SearchState, between: Between) -> Scores:
        own = Variables(state.params, state.stats)
        return proxy_scores(space, chosen, complexity, own, between.batches(0).valid.x)

    def judge(state: SearchState, between: Between, genotypes: Sequence[Genotype]) -> np.ndarray:
        return rank_means(scores(state, between)(genotypes))

    whole = search._replace(init=init, step=step, judge=judge)
    return evolving(whole, 1, steps_per_epoch, evolution, scores)


def proxy_scores(space: SearchSpace, proxies: Sequence[Proxy], complexity: str, variables: Variables, x: Any) -> Scores:
    """Return what scores architectures by each proxy, and by their size, `(N, proxies + 1)`.

    Args:
        space: the space.
        proxies: the proxies.
        complexity: `macs`, `params`, or empty for no size.
        variables: of the supernet, untrained.
        x: a minibatch of inputs.
    """

    @partial(jax.jit, compiler_options=compiler_options())
    def scored(variables: Variables, mixture: Mixture, x: Any) -> Array:
        return jnp.stack([proxy(space, variables, mixture, x) for proxy in proxies])

    def size(genotype: Genotype) -> float:
        return float(getattr(space.build(genotype).workload(getattr(x, "shape", (1,))[1:]), complexity))

    def scores(genotypes: Sequence[Genotype]) -> np.ndarray:
        alive = [live(space.spec, genotype) for genotype in genotypes]
        paths = [jax.tree.map(lambda leaf: leaf[0], dict(single_paths(space.spec, [one]))) for one in alive]
        rows = np.asarray(jnp.stack([scored(variables, path, x) for path in paths]), np.float64)
        return np.column_stack([rows, [size(one) for one in alive]]) if complexity else rows

    return scores
