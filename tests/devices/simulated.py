"""Run by the fixture `simulated` in a process with 8 devices: `simulated.py FOLDER DATA SETTING...`.

Searches and trains on 1, 4 and 8 of them, also across an interruption, counts what programs send, and writes all of
it into FOLDER for the tests to judge.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import dnas
from dnas.devices import choose, traffic
from dnas.errors import UserError
from dnas.relaxations.projected import decisions
from dnas.run import config, pipeline, planning
from dnas.run.console import Screen
from dnas.run.directory import CONFIG, RunDirectory
from dnas.run.interrupt import Interrupted, Stop
from dnas.run.loop import run_phase
from dnas.run.phase import Finished, Phase
from search_spaces import darts


class AtOnce(Stop):
    """Asks to stop after the first epoch."""

    checks = 0

    def check(self) -> None:
        # The first two are before and after compiling.
        self.checks += 1
        self.signum = 15 if self.checks == 3 else None
        super().check()


def main(folder: Path, data: str, settings: list[str]) -> None:
    def plan(devices: int, *more: str, method: str = "darts") -> planning.Plan:
        return planning.plan(request(data, [*settings, *more], method), None, devices=devices)

    for count in (1, 4, 8):
        planned = plan(count)
        run = pipeline.start(planned, folder / f"run-{count}", False, "test")
        keep(folder / f"search-{count}.npz", run_phase(phase_of(planned), run, Screen(), Stop()))
        if count != 4:
            write(folder / f"result-{count}.json", pipeline.execute(run, planned, Screen(), Stop()))
    move(folder, plan)
    write(folder / "decided.json", {count: decide(plan(count, method="darts_pt")) for count in (1, 4)})
    wrong = {
        "too many": lambda: choose(9),
        "none": lambda: choose(0),
        "search batch": lambda: plan(8, "search.batch_size=12"),
        "retrain batch": lambda: plan(8, "retrain.batch_size=12"),
    }
    write(folder / "wrong.json", {name: said(action) for name, action in wrong.items()})
    sent = {
        "loop": count_loop(),
        "chunk": count_chunk(phase_of(plan(8))),
        "step-16": count_step(16),
        "step-32": count_step(32),
    }
    write(folder / "sent.json", sent)


def request(data: str, settings: list[str], method: str) -> config.Config:
    return config.make(
        config.SEARCH,
        space="darts",
        method=method,
        preset="tiny",
        data=data,
        seed=1,
        baseline=0,
        assignments=tuple(settings),
    )


def phase_of(planned: planning.Plan) -> Phase:
    assert planned.search is not None
    return planned.search.phase


def keep(path: Path, finished: Finished) -> None:
    """Save every leaf of the state, on how many devices it lies, and how many different copies there are."""
    state = finished.state._replace(key=jax.random.key_data(finished.state.key))
    leaves = {jax.tree_util.keystr(name): leaf for name, leaf in jax.tree_util.tree_leaves_with_path(state)}
    shards = [[np.asarray(shard.data).tobytes() for shard in leaf.addressable_shards] for leaf in leaves.values()]
    about = {"places": [len(one) for one in shards], "different": [len(set(one)) for one in shards]}
    np.savez(path, **leaves, **about)


def move(folder: Path, plan: Callable[..., planning.Plan]) -> None:
    """Begin on 4 devices, stop, and go on with 8."""
    run = pipeline.start(plan(4), folder / "moved", False, "test")
    try:
        run_phase(phase_of(plan(4)), run, Screen(), AtOnce())
    except Interrupted:
        _, again = pipeline.reopen(run.path, None, Screen())
        kept = {"written": RunDirectory(run.path).read(CONFIG)["devices"], "again": again.devices.count}
        write(folder / "kept.json", kept)
        _, moved = pipeline.reopen(run.path, None, Screen(), devices=8)
        keep(folder / "search-moved.npz", run_phase(phase_of(moved), run, Screen(), Stop()))


def decide(planned: planning.Plan) -> dict[str, Any]:
    """What the first turn after the epochs of a perturbation-based selection decides between two epochs."""
    phase = phase_of(planned)
    epochs = planned.config.values["search.epochs"]
    state = phase.init()._replace(step=jnp.asarray(epochs * phase.chunk.per_epoch, jnp.int32))
    assert phase.turn is not None
    made = decisions(phase.devices.here(phase.turn(phase.devices.everywhere(state)).relaxation))
    return {name: np.asarray(rows).tolist() for name, rows in made.weights.items()}


def said(action: Callable[[], Any]) -> str:
    try:
        action()
    except UserError as error:
        return str(error)
    return ""


def count_loop() -> dict[str, Any]:
    """A program of which one knows what it sends: ten sums of 3 float32 numbers over 8 devices, one of a scalar."""
    devices = choose("all")

    def program(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x = devices.divide(x)
        total = lax.fori_loop(0, 10, lambda i, total: total + jnp.sin(x * i + total[0]).sum(axis=0), jnp.zeros(3))
        return total, x.max()

    compiled = devices.jit(program).lower(jax.ShapeDtypeStruct((16, 3), jnp.float32)).compile()
    return traffic(compiled.as_text())._asdict()


def count_chunk(phase: Phase) -> dict[str, Any]:
    """What the program of a search sends that reads, augments and divides its own minibatches."""
    state = phase.devices.everywhere(phase.init())
    program = phase.devices.jit(phase.chunk.run, donate_argnums=0).lower(state, *phase.arguments)
    return traffic(program.compile().as_text())._asdict()


def count_step(batch_size: int) -> dict[str, Any]:
    """What a search step with so many 8x8 images sends, and the sizes of the trees that it is made of.

    There are no depthwise convolutions: their gradient on CPU is summed over devices before it is over the width.
    """
    devices = choose("all")
    space = darts.space(classes=10, channels=8, cells=3, nodes=1, ops=("none", "avg_pool_3x3", "nor_conv_3x3"))
    search = dnas.darts(space, epochs=1, steps_per_epoch=1)
    state = jax.eval_shape(search.init, jax.random.key(0), jnp.zeros((2, 8, 8, 3)))
    batch = dnas.Batch(
        jax.ShapeDtypeStruct((batch_size, 8, 8, 3), jnp.float32), jax.ShapeDtypeStruct((batch_size,), jnp.int32)
    )

    def step(state: Any, batches: dnas.Batches) -> Any:
        return search.step(state, devices.divide(batches))

    program = devices.jit(step).lower(state, dnas.Batches(batch, batch))
    sizes = {name: sum(leaf.size for leaf in jax.tree.leaves(getattr(state, name))) for name in ("params", "stats")}
    return {**traffic(program.compile().as_text())._asdict(), **sizes}


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
