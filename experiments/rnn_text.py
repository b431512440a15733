"""Does DARTS find a better recurrent cell for a text than chance does?

    python experiments/rnn_text.py --text FILE

reads a text file (plain, .xz or .gz), searches the cell of a character-level language model, retrains the cell found
and a random one in the same way, and reports both perplexities on text that neither has seen.

Result on Tiny Shakespeare, default settings, seed 0: 2 min 19 s of CPU time; test perplexity of the found cell 6.95, of
a random one 6.88 (experiments/results/rnn_text_tiny/). `--preset paper` has not been run.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import jax
import numpy as np

from dnas.compiling import compiler_options
from dnas.data import text
from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.losses import bits, perplexity
from dnas.optimizers import clipped_sgd, cosine_by_epoch
from dnas.report import cell_svg
from dnas.run import settings
from dnas.run.config import method_of
from dnas.run.directory import CONFIG, GENOTYPE, RESULT, RunDirectory
from dnas.run.environment import describe
from dnas.run.retrain import check_numbers
from dnas.selection import random_genotype
from dnas.train import supervised
from dnas.types import Array, Course, Network, Search, Stats, Variables
from search_spaces import rnn
from search_spaces.rnn.epochs import evaluation, search_epoch, train_epoch

SCHEMA = "dnas.rnn_text/1"


@dataclass(frozen=True)
class Feed:
    """How a search is fed.

    Attributes:
        batch_size: columns that the text is laid out in.
    """

    batch_size: int = 32


@dataclass(frozen=True)
class Retrain:
    """How a found cell is trained.

    Attributes:
        epochs: passes over the training text.
        batch_size: columns that the text is laid out in.
        lr: learning rate of the first epoch.
        lr_min: where its cosine ends.
        momentum: of SGD.
        weight_decay: L2 coefficient.
        clip_norm: largest global norm of the gradient; 0 does not clip.
    """

    epochs: int = 3
    batch_size: int = 32
    lr: float = 20.0
    lr_min: float = 20.0
    momentum: float = 0.0
    weight_decay: float = 8e-7
    clip_norm: float = 0.25


class Score(NamedTuple):
    """How well a text is predicted: mean cross entropy in nats, and the two ways to say it."""

    nats: float
    perplexity: float
    bits: float

    @staticmethod
    def of(nats: Any) -> "Score":
        return Score(float(nats), float(perplexity(nats)), float(bits(nats)))

    def __str__(self) -> str:
        return f"perplexity {self.perplexity:.3f}, {self.bits:.3f} bits a token"


def jit(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Compile as `dnas search` does."""
    return jax.jit(function, compiler_options=compiler_options(), **options)


class Job(NamedTuple):
    """A request on its data: what both phases need.

    Attributes:
        data: the text.
        values: every setting by dotted name.
        window: tokens of a window.
        key: of everything random.
        say: prints a line.
    """

    data: text.Text
    values: dict[str, Any]
    window: int
    key: jax.Array
    say: Callable[[str], None]

    @property
    def classes(self) -> int:
        return len(self.data.vocabulary)

    def columns(self, part: str, count: int) -> Array:
        return text.columns(f"the {part} part of {self.data.name!r}", getattr(self.data, part), count, self.window)

    def own(self, prefix: str, factory: Callable[..., Any]) -> dict[str, Any]:
        return settings.group(self.values, prefix, factory)


def prepare(job: Job, method: Callable[..., Search]) -> tuple[Search, Array, Array]:
    """Return the search, and the columns of text for its two levels."""
    feed = Feed(**job.own("search", Feed))
    train, valid = (job.columns(part, feed.batch_size) for part in ("train", "valid"))
    space = rnn.space(classes=job.classes, **settings.group(job.values, "space"))
    return method(space, steps_per_epoch=text.windows(train, job.window), **job.own("search", method)), train, valid


def check(job: Job, method: Callable[..., Search]) -> None:
    """Raise `UserError` for what would fail later, before anything is written or computed."""
    search, _, _ = prepare(job, method)
    if search.course != Course():
        raise UserError(
            f"--method {method.__name__}: it works between epochs, which this script does not do: choose a method that "
            f"searches in one stretch, such as darts"
        )
    trial = random_genotype(search.space, np.random.default_rng(0))
    rnn.build(trial, classes=job.classes, **job.own("retrain", rnn.build))
    for part in text.PARTS:
        job.columns(part, job.values["retrain.batch_size"])


def run_search(job: Job, method: Callable[..., Search]) -> tuple[Genotype, list[Score]]:
    """Search, and return the cell with the supernet's score on the validation part after each epoch."""
    search, train, valid = prepare(job, method)
    space, epochs = search.space, job.values["search.epochs"]
    epoch = jit(search_epoch(search, job.classes, job.window), donate_argnums=0)
    # By the minibatch's own statistics: in an early supernet, running ones let the hidden state grow without bound.
    score = jit(evaluation(lambda variables, x, mixture: space.apply(variables, mixture, x, train=True), job.window))
    state = search.init(job.key, train[:, : job.window])
    scores = []
    for number in range(1, epochs + 1):
        began = time.perf_counter()
        state, loss = epoch(state, train, valid)
        nats = score(Variables(state.params, state.stats), valid, search.weights(state))
        scores.append(Score.of(nats))
        _tell(job.say, f"search epoch {number}/{epochs}", loss, scores[-1], began)
        if not np.isfinite(loss):
            raise UserError(
                f"the search's loss is {float(loss)} in epoch {number}: choose a smaller search.weight_lr or "
                f"search.clip_norm"
            )
        job.say(f"  selects {search.select(state)}")
    return search.select(state), scores


def run_training(job: Job, name: str, genotype: Genotype) -> dict[str, Any]:
    """Train the network of a cell from scratch and return what is reported of it; no scores if it diverges."""
    own = Retrain(**job.own("retrain", Retrain))
    train = job.columns("train", own.batch_size)
    network = rnn.build(genotype, classes=job.classes, **job.own("retrain", rnn.build))
    rate = cosine_by_epoch(own.lr, own.lr_min, own.epochs, text.windows(train, job.window))
    training = supervised(network, clipped_sgd(rate, own.momentum, own.weight_decay, own.clip_norm))
    epoch = jit(train_epoch(training, job.window), donate_argnums=0)
    score = _scorer(network, job.window)
    held_out = {part: job.columns(part, own.batch_size) for part in ("valid", "test")}
    state = training.init(job.key, train[:, : job.window])
    for number in range(1, own.epochs + 1):
        began = time.perf_counter()
        state, loss = epoch(state, train)
        valid = score(Variables(state.params, state.stats), held_out["valid"])
        _tell(job.say, f"{name} epoch {number}/{own.epochs}", loss, valid, began)
    scores = {part: score(Variables(state.params, state.stats), columns) for part, columns in held_out.items()}
    return {
        "genotype": genotype.to_json(),
        "params": network.workload((job.window,)).params,
        **{part: found._asdict() if np.isfinite(found.nats) else None for part, found in scores.items()},
    }


def _scorer(network: Network, length: int) -> Callable[[Variables, Array], Score]:
    def apply(variables: Variables, x: Array) -> tuple[Array, Stats]:
        output, stats = network.apply(variables, x, train=False)
        return output.logits, stats

    score = jit(evaluation(apply, length))
    return lambda variables, columns: Score.of(score(variables, columns))


def _tell(say: Callable[[str], None], what: str, loss: Array, valid: Score, began: float) -> None:
    say(f"{what}: training {Score.of(loss)}; validation {valid}; {time.perf_counter() - began:.1f} s")


def _said(score: dict[str, float] | None) -> str:
    return str(Score(**score)) if score else "diverged (choose a smaller retrain.lr or retrain.clip_norm)"


def resolve(method: Callable[..., Any], preset: str, assignments: tuple[str, ...]) -> dict[str, Any]:
    """Return every setting: its default, the preset's value where the method has it, and what was assigned.

    Raises:
        UserError: for an unknown preset or setting, or a value that does not fit.
    """
    table = {
        **settings.from_signature("space", rnn.space),
        **settings.from_signature("search", method),
        **settings.from_signature("search", Feed),
        **settings.from_signature("retrain", rnn.build),
        **settings.from_signature("retrain", Retrain),
    }
    if preset not in rnn.PRESETS:
        raise unknown("preset", preset, rnn.PRESETS)
    chosen = {name: value for name, value in rnn.PRESETS[preset].items() if name in table}
    values = settings.resolve(table, chosen, settings.parse(table, assignments))
    for prefix in ("space", "search", "retrain"):
        check_numbers(prefix, settings.group(values, prefix))
    return values


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--text", "path", required=True, type=Path, help="Text file, plain or compressed (.xz, .gz).")
@click.option("--level", default=text.CHARACTERS, show_default=True, help="Tokens: characters or words.")
@click.option("--limit", default=0, help="Tokens to take from the beginning; 0 takes all.  [default: 0]")
@click.option("--window", default=35, show_default=True, help="Tokens of a window, through which gradients flow.")
@click.option("--method", default="darts", show_default=True, help="Search method, such as darts_second_order.")
@click.option("--preset", default="tiny", show_default=True, help="Settings to begin with: tiny, small or paper.")
@click.option("--epochs", type=int, help="Epochs of the search and of each training.  [default: the preset's]")
@click.option("--set", "assignments", multiple=True, help="A setting as NAME=VALUE; may be repeated.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option("--run-dir", type=Path, default=Path("runs/rnn-text"), show_default=True, help="Where results go.")
@click.option("--overwrite", is_flag=True, help="Replace the run directory if it exists.")
def main(
    path: Path,
    level: str,
    limit: int,
    window: int,
    method: str,
    preset: str,
    epochs: int | None,
    assignments: tuple[str, ...],
    seed: int,
    run_dir: Path,
    overwrite: bool,
) -> None:
    """Search a recurrent cell on a text, retrain it, and compare it with a random one.

    \b
    Examples:
      python experiments/rnn_text.py --text shakespeare.txt.xz
      python experiments/rnn_text.py --text book.txt --epochs 10 --set space.units=96 --set search.alpha_lr=0.003
      python experiments/rnn_text.py --text book.txt --method darts_second_order --limit 200000

    Writes config.json, genotype.json, cell-recurrent.svg and result.json.
    """
    try:
        both = () if epochs is None else (f"search.epochs={epochs}", f"retrain.epochs={epochs}")
        factory = method_of(method)
        values = resolve(factory, preset, (*both, *assignments))
        data = text.load(path, level=level, limit=limit)
        job = Job(data, values, window, jax.random.key(seed), click.echo)
        check(job, factory)
        request = {"text": str(path), "level": level, "limit": limit, "window": window, "method": method, "seed": seed}
        result = run(job, factory, RunDirectory.create(run_dir, overwrite), request)
    except UserError as error:
        failure = click.ClickException(str(error))
        failure.exit_code = 2
        raise failure from None
    found, chance = (result[name]["test"] for name in ("found", "random"))
    click.echo(f"test: found cell {_said(found)}; random cell {_said(chance)}")
    click.echo(f"results: {run_dir}")


def run(job: Job, method: Callable[..., Search], directory: RunDirectory, request: dict[str, Any]) -> dict[str, Any]:
    """Do the whole experiment and return what `result.json` says."""
    parts = {part: len(getattr(job.data, part)) for part in text.PARTS}
    directory.write(
        CONFIG, {"schema": SCHEMA, **request, "settings": job.values, "vocabulary": job.classes, "tokens": parts}
    )
    genotype, scores = run_search(job, method)
    directory.write(GENOTYPE, genotype.to_json())
    title = "recurrent cell: state 0 is made of the token and the hidden state"
    directory.write_text("cell-recurrent.svg", cell_svg(genotype["recurrent"], title, inputs=1, averaged=True))
    space = rnn.space(classes=job.classes, **settings.group(job.values, "space"))
    chance = random_genotype(space, np.random.default_rng(request["seed"]))
    result = {
        "schema": SCHEMA,
        "search": {"valid": [score._asdict() for score in scores]},
        "found": run_training(job, "found cell", genotype),
        "random": run_training(job, "random cell", chance),
        "uniform_bits": float(np.log2(job.classes)),
        "environment": describe(),
    }
    directory.write(RESULT, result)
    return result


if __name__ == "__main__":
    main()
