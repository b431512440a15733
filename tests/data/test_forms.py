"""Data of any form: divisions, readers that can be put back, and what is refused."""

import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import grain
import jax
import numpy as np
import pytest

from dnas.data import arrays, iterators, whole
from dnas.data import grain as pipelines
from dnas.data.reader import Reader
from dnas.run.stream import Stream
from dnas.types import Batch

X, Y = np.arange(10, dtype=np.float32)[:, None], np.arange(10)


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.99])
def test_the_division_that_is_made_is_disjoint_and_complete(share: float) -> None:
    data = arrays({"a": X, "b": [Y]}, Y, valid_share=share, seed=3)
    parts = [set(part.y.tolist()) for part in (data.train, data.valid)]
    assert parts[0] | parts[1] == set(range(10))
    assert not parts[0] & parts[1]
    assert len(parts[1]) == min(max(1, round(10 * share)), 9)
    for part in (data.train, data.valid):
        np.testing.assert_array_equal(part.x["a"][:, 0], part.y)
        np.testing.assert_array_equal(part.x["b"][0], part.y)


def test_another_seed_divides_otherwise_and_the_same_one_alike() -> None:
    first, again, other = (arrays(X, Y, seed=seed).valid.y.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_division_that_is_given_stays() -> None:
    data = arrays(X[:6], Y[:6], valid=(X[6:8], Y[6:8]), test=(X[8:].astype(np.float64), Y[8:]))
    assert (data.train.y.tolist(), data.valid.y.tolist()) == ([0, 1, 2, 3, 4, 5], [6, 7])
    assert data.test is not None
    assert data.test.x.dtype == np.float32


def test_rows_and_masks_are_the_same_parts() -> None:
    rows = whole(X, Y, train=[0, 3], valid=[5], test=[9])
    mask = np.isin(np.arange(10), [0, 3])
    np.testing.assert_array_equal(rows.train, mask)
    np.testing.assert_array_equal(whole(X, Y, train=mask, valid=[5]).train, mask)


BAD: dict[str, tuple[Any, tuple[str, ...]]] = {
    "lengths": (lambda: arrays(X, Y[:7]), ("10 inputs", "7 targets")),
    "leaves": (lambda: arrays({"a": X, "b": X[:3]}, Y), ("(10, 1), (3, 1)", "one first axis")),
    "empty": (lambda: arrays(X[:0], Y[:0]), ("x is empty",)),
    "nothing": (lambda: arrays({}, Y), ("holds no array",)),
    "words": (lambda: arrays(np.array(["a"]), Y[:1]), ("type <U1",)),
    "one": (lambda: arrays(X[:1], Y[:1]), ("cannot be divided",)),
    "share": (lambda: arrays(X, Y, valid_share=1.0), ("valid_share is 1.0",)),
    "shapes": (lambda: arrays(X, Y, valid=(np.ones((2, 3)), Y[:2])), ("validation data", "(3,)", "(1,)")),
    "structure": (lambda: arrays(X, Y, test=({"a": X}, Y)), ("test data", "another structure")),
    "overlap": (lambda: whole(X, Y, train=[1, 2], valid=[2, 3]), ("1 targets", "train and valid")),
    "no part": (lambda: whole(X, Y, train=[1, 2], valid=np.zeros(10, bool)), ("valid is empty",)),
    "rows": (lambda: whole(X, Y, train=[1, 10], valid=[2]), ("1..10",)),
    "numbers": (lambda: whole(X, Y, train=(Y > 3).astype(int), valid=[2]), ("more than once", "bool")),
    "mask": (lambda: whole(X, Y, train=np.ones(3, bool), valid=[2]), ("(3,)", "(10,)")),
    "epoch": (lambda: whole(X, Y, train=[1], valid=[2], steps=0), ("steps is 0",)),
    "iterator": (lambda: iterators(iter([]), lambda: [], steps=1), ("train is a list_iterator", "lambda:")),  # type: ignore[arg-type]
    "steps": (lambda: iterators(list, list, steps=0), ("steps is 0",)),
    "valid steps": (lambda: iterators(list, list, steps=1, valid_steps=0), ("valid_steps is 0",)),
    "ends at once": (lambda: iterators(list, list, steps=1).train().read(), ("train data ended before",)),
    "pipeline ends": (
        lambda: pipelines(grain.MapDataset.range(0), grain.MapDataset.range(0), steps=1).train().read(),
        ("Grain pipeline of train data ended before",),
    ),
    "no pipeline": (lambda: pipelines([1], [1], steps=1), ("train is a list", "Grain")),
    "element": (lambda: iterators(lambda: [3], list, steps=1).train().read(), ("gave a int", "pairs (x, y)")),
    "sizes": (lambda: Stream(iterators(uneven, list, steps=3).train(), 3).take(3), ("(4, 1)", "(2, 1)", "rest")),
}


def uneven() -> Iterator[Any]:
    for first in range(0, 10, 4):
        yield X[first : first + 4], Y[first : first + 4]


@pytest.mark.parametrize("name", BAD)
def test_data_that_cannot_be_used_are_refused_in_one_sentence(name: str, sentence: Any) -> None:
    act, words = BAD[name]
    with sentence(*words):
        act()


def pair(row: int) -> tuple[np.ndarray, np.ndarray]:
    return X[row], Y[row]


def map_dataset() -> Any:
    return grain.MapDataset.range(10).seed(1).shuffle().map(pair).batch(4)


def loader() -> Any:
    sampler = grain.samplers.IndexSampler(10, num_epochs=1, shuffle=True, seed=0)
    operations = [Pair(), grain.transforms.Batch(4)]
    return grain.DataLoader(data_source=np.arange(10), sampler=sampler, worker_count=0, operations=operations)


class Pair(grain.transforms.Map):  # type: ignore[misc, unused-ignore]
    def map(self, element: int) -> tuple[np.ndarray, np.ndarray]:
        return pair(element)


OPENERS = {
    "iterator": iterators(uneven, uneven, steps=1).train,
    "map dataset": pipelines(map_dataset(), map_dataset(), steps=1).train,
    "iter dataset": pipelines(map_dataset().to_iter_dataset(), map_dataset(), steps=1).train,
    "loader": pipelines(loader(), loader(), steps=1).train,
}


def labels(batch: Batch) -> list[int]:
    np.testing.assert_array_equal(batch.x[:, 0], batch.y)
    return [int(label) for label in batch.y]


@pytest.mark.parametrize("name", OPENERS)
def test_a_reader_goes_on_where_another_stood(name: str) -> None:
    """Three minibatches a pass: marks within a pass, at its end, and in a later one."""
    reader: Reader = OPENERS[name]()
    seen, marks = [], [reader.mark()]
    for _ in range(8):
        seen.append(labels(reader.read()))
        marks.append(reader.mark())
    assert sorted(chain(*seen[:3])) == list(range(10)), "each pass gives every example once"
    assert seen[3:6] == seen[:3], "a pass begins again as it was"
    assert (
        len({(np.asarray(leaf).shape, np.asarray(leaf).dtype) for mark in marks for leaf in jax.tree.leaves(mark)}) == 1
    )
    for place in (0, 1, 3, 5):
        other = OPENERS[name]()
        other.read()
        # Looking whether there is more does not move it.
        other.at_end()
        other.seek(marks[place])
        assert [labels(other.read()) for _ in range(8 - place)] == seen[place:]


def test_the_end_is_told_where_it_is() -> None:
    for name, opened in OPENERS.items():
        reader = opened()
        found = []
        while not reader.at_end():
            found.append(labels(reader.read()))
        assert len(found) == 3, name


def test_a_stream_stacks_fills_up_and_marks_what_was_taken() -> None:
    def numbers() -> Iterator[Any]:
        for number in range(7):
            yield np.full((2,), number), np.full((2,), number)

    stream = Stream(iterators(numbers, numbers, steps=3).train(), 3)
    assert stream.take(3).y[:, 0].tolist() == [0, 1, 2]
    mark = stream.mark()
    stream.ahead(2)
    np.testing.assert_array_equal(jax.tree.leaves(stream.mark())[0], jax.tree.leaves(mark)[0])
    assert stream.take(2).y[:, 0].tolist() == [3, 4, 4]
    assert stream.take(3).y[:, 0].tolist() == [5, 6, 0]
    stream.seek(mark)
    assert stream.take(3).y[:, 0].tolist() == [3, 4, 5]


def test_a_map_dataset_is_read_a_few_minibatches_ahead_and_an_iter_dataset_as_its_owner_says() -> None:
    read: list[int] = []
    counted = grain.MapDataset.range(1000).map(lambda row: (read.append(row), (X[:1], Y[:1]))[1])
    pipelines(counted, counted, steps=1).train().read()
    before = 0
    while len(read) > before:
        before = len(read)
        time.sleep(0.1)
    assert 1 <= len(read) <= 32
    read.clear()
    plain = counted.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
    pipelines(plain, plain, steps=1).train().read()
    assert len(read) == 1
