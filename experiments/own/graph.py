"""Node classification by message passing with segment sums: how neighbours are gathered, and how many hops, are open.

    python experiments/own/graph.py --graph cora.npz

The file holds `edges` (E, 2), sparse features (`feat_row`, `feat_col`, `feat_val`), `labels` (N,), and the indices
`train`, `val` and `test` of the nodes of each part. Every step takes the whole graph; masks say which nodes count.
"""

import click
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import dnas


def total(nodes: jax.Array, edges: jax.Array) -> jax.Array:
    return jax.ops.segment_sum(nodes[edges[:, 0]], edges[:, 1], len(nodes))


def mean(nodes: jax.Array, edges: jax.Array) -> jax.Array:
    return total(nodes, edges) / jnp.maximum(total(jnp.ones((len(nodes), 1)), edges), 1)


class Hop(nn.Module):
    @nn.compact
    def __call__(self, nodes: jax.Array, edges: jax.Array) -> jax.Array:
        gather = dnas.Choice({"sum": total, "mean": mean, "nothing": lambda nodes, edges: jnp.zeros_like(nodes)})
        return nn.relu(nn.Dense(32)(nodes) + nn.Dense(32)(gather(nodes, edges)))


class Network(nn.Module):
    classes: int

    @nn.compact
    def __call__(self, graph: dict[str, jax.Array]) -> jax.Array:
        hops = [Hop()(graph["nodes"], graph["edges"])]
        for _ in range(2):
            hops.append(Hop()(hops[-1], graph["edges"]))
        return nn.Dense(self.classes)(dnas.InputChoice(names=("1 hop", "2 hops", "3 hops"))(hops))


@click.command()
@click.option("--graph", type=click.Path(exists=True), required=True, help="A graph, .npz.")
@click.option("--epochs", default=10, show_default=True, help="Of the search, and of each training; 10 steps each.")
@click.option("--directory", help="Where the run is kept, so that it can go on.")
def main(graph: str, epochs: int, directory: str | None) -> None:
    """Search a network for the nodes of a graph."""
    with np.load(graph) as file:
        nodes = np.zeros((len(file["labels"]), file["feat_col"].max() + 1), np.float32)
        nodes[file["feat_row"], file["feat_col"]] = file["feat_val"]
        edges = np.concatenate([file["edges"], file["edges"][:, ::-1]]).astype(np.int32)
        labels, parts = (
            file["labels"].astype(np.int32),
            {"train": file["train"], "valid": file["val"], "test": file["test"]},
        )
    x = {"nodes": nodes / np.maximum(nodes.sum(1, keepdims=True), 1e-9), "edges": edges}
    space = dnas.space(Network(labels.max() + 1), x)
    found = dnas.find(space, dnas.data.whole(x, labels, **parts), epochs=epochs, directory=directory, alpha_lr=0.01)
    click.echo(f"\n{found}")


if __name__ == "__main__":
    main()
