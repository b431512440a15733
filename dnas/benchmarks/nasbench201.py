"""NAS-Bench-201 (Dong & Yang, arXiv:2001.00326) as a table, from a file that `scripts/convert_nats_bench` makes.

The file is a NumPy archive. Row i of every array belongs to one architecture, which the script puts at its published
index; d is a data set.

- `ops` (15625, 6): the operation on each edge as an index into `op_names`; `edges` (6, 2) are the columns' (target,
  source) states. `arch`, if it is there, holds the same as text.
- `test200_d`, `val200_d`, `test12_d`, `val12_d`: accuracies in percent after 200 and 12 epochs. The data sets are those
  that have the first; all others may be missing.
- `cost12_d_s`: seconds of training for 12 epochs. `flops_d_M`, `params_d_M`: multiply-adds and parameters in millions.
- `unique_str`: a text that isomorphic architectures share; may be missing.
"""

import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dnas.data.files import directory, expand
from dnas.errors import UserError, reason
from dnas.genotype import Cell, Edge, Genotype
from dnas.table import Table

SPACE = "nasbench201"
FILE, FOLDER = "nb201.npz", "nb201"
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = tuple((target, source) for target in range(1, 4) for source in range(target))
"""(target, source) states in the order of the columns of `ops`: 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2."""
COUNT = len(OPS) ** len(EDGES)
ORIGIN = "NATS-tss-v1_0-3ffb9-simple"
"""Name of the official files that the table is made from."""

# A 12-epoch run on CIFAR-10 trains on half of the training images; the other half is its validation set.
_RUN_EPOCHS, _RUN_IMAGES = 12, {"cifar10": 25_000}
# Multiply-adds of a training step in those of a forward pass: the backward pass counts as two.
_TRAINING = 3

_TRUTH, _OLD = "test200_", "_nb201v11"
_ACCURACY, _COST, _SIZE = r"(test|val)(\d{1,4})_(.+)", r"cost(\d{1,4})_(.+)_s", r"(flops|params)_(.+)_M"
_REMEDY = "make the file again with scripts/convert_nats_bench"
# All that NumPy and zipfile raise for bytes that are not what their header says.
_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, KeyError, MemoryError)

Arrays = Mapping[str, np.ndarray]


def load(path: str | Path | None = None, data_dir: str | Path | None = None) -> Table:
    """Read the table of all 15,625 architectures.

    `seconds_per_mac` is total training time over total multiply-adds of the 12-epoch runs on CIFAR-10, which train on
    25,000 images an epoch, forward and backward passes counting as three forward passes. `cost12_cifar10_s` is
    training time alone, so the validation passes of those runs are in neither sum.

    Args:
        path: the file.
        data_dir: without `path`, the folder that holds `nb201.npz`, itself or in a folder `nb201`; see
            `dnas.data.files.directory`.

    Raises:
        UserError: if there is no file, or it is not such a table.
    """
    file = expand(str(path)) if path is not None else _find(directory(data_dir))
    what = f"NAS-Bench-201 table {str(file)!r}"
    arrays = _read(file, what)
    ops = _operations(arrays, what)
    datasets = [name.removeprefix(_TRUTH) for name in arrays if name.startswith(_TRUTH)]
    accuracies, seconds = {}, {}
    sizes: dict[str, dict[str, np.ndarray]] = {"flops": {}, "params": {}}
    for name in arrays:
        if (found := re.fullmatch(_ACCURACY, name)) and found[3] in datasets:
            accuracies[found[3], int(found[2]), found[1]] = _percent(arrays, name, what)
        elif (found := re.fullmatch(_COST, name)) and found[2] in datasets:
            seconds[found[2], int(found[1])] = _positive(arrays, name, what)
        elif (found := re.fullmatch(_SIZE, name)) and found[2] in datasets:
            sizes[found[1]][found[2]] = _locked(np.rint(1e6 * _positive(arrays, name, what)).astype(np.int64))
    rates = {
        dataset: float(seconds[dataset, _RUN_EPOCHS].sum() / (_RUN_EPOCHS * images * _TRAINING * macs.sum()))
        for dataset, images in _RUN_IMAGES.items()
        if (macs := sizes["flops"].get(dataset)) is not None and (dataset, _RUN_EPOCHS) in seconds
    }
    return Table(
        name="NAS-Bench-201",
        source=str(file),
        architectures=_genotypes(ops),
        accuracies=accuracies,
        seconds=seconds,
        macs=sizes["flops"],
        params=sizes["params"],
        groups=_groups(arrays, what),
        seconds_per_mac=rates or None,
    )


def reference_networks() -> tuple[tuple[str, Genotype], ...]:
    """Return the architectures that every search should know: the best plain choice, and where DARTS collapses to."""
    plain, skips = _genotypes(np.array([[OPS.index(op)] * len(EDGES) for op in ("nor_conv_3x3", "skip_connect")]))
    return (("all 3x3 convolutions", plain), ("all skip connections", skips))


def _find(folder: Path) -> Path:
    places = (folder / FILE, folder / FOLDER / FILE)
    for place in places:
        if place.is_file():
            return place
    raise UserError(f"NAS-Bench-201: no file {str(places[0])!r} or {str(places[1])!r}; {_how_to_get()}")


def _how_to_get() -> str:
    return (
        f"download NATS-Bench's topology file {ORIGIN} (from the NATS-Bench project page) and run "
        f"`scripts/convert_nats_bench`"
    )


def _read(path: Path, what: str) -> Arrays:
    """Return the arrays that the table needs or may have, in the order of the file."""
    try:
        archive: Any = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{what}: there is no such file; check the path, or {_how_to_get()}") from None
    except _DAMAGE as error:
        raise UserError(f"{what}: not a readable .npz file ({reason(error)}), {_REMEDY}") from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise UserError(f"{what}: the file holds a single array, expected an .npz file: {_REMEDY}")
    with archive:
        if missing := [name for name in ("ops", "op_names", "edges") if name not in archive.files]:
            raise UserError(f"{what}: no array named {', '.join(missing)}, {_REMEDY}")
        names = [name for name in archive.files if not name.endswith(_OLD)]
        if not any(name.startswith(_TRUTH) for name in names):
            raise UserError(f"{what}: no array named test200_cifar10 or test200 of another data set, {_REMEDY}")
        known = ("ops", "op_names", "edges", "arch", "unique_str")
        wanted = [name for name in names if name in known or re.fullmatch(f"{_ACCURACY}|{_COST}|{_SIZE}", name)]
        return {name: _array(archive, name, what) for name in wanted}


def _array(archive: Any, name: str, what: str) -> np.ndarray:
    try:
        return np.asarray(archive[name])
    except _DAMAGE as error:
        raise UserError(f"{what}: array {name} cannot be read ({reason(error)}), {_REMEDY}") from None


def _operations(arrays: Arrays, what: str) -> np.ndarray:
    """Return the checked operations, `(15625, 6)` indices into `OPS`."""
    names = tuple(_texts(arrays["op_names"]).tolist())
    if names != OPS:
        raise UserError(f"{what}: op_names is {names}, expected {OPS}: {_REMEDY}")
    if not np.array_equal(arrays["edges"], EDGES):
        raise UserError(f"{what}: edges is {arrays['edges'].tolist()}, expected {list(map(list, EDGES))}: {_REMEDY}")
    ops = arrays["ops"]
    if ops.shape != (COUNT, len(EDGES)) or ops.dtype.kind not in "ui":
        raise UserError(
            f"{what}: ops has shape {ops.shape} and type {ops.dtype}, expected ({COUNT}, {len(EDGES)}) integers: "
            f"{_REMEDY}"
        )
    wrong = np.flatnonzero(((ops < 0) | (ops >= len(OPS))).any(axis=1))
    if wrong.size:
        raise UserError(
            f"{what}: ops has {ops[wrong[0]].tolist()} in row {wrong[0]}, expected 0 to {len(OPS) - 1}: {_REMEDY}"
        )
    ops = ops.astype(np.int64)
    different = len(np.unique(ops @ len(OPS) ** np.arange(len(EDGES))))
    if different != COUNT:
        raise UserError(
            f"{what}: ops holds {different:,} different architectures, expected each of the {COUNT:,} once: {_REMEDY}"
        )
    if "arch" in arrays:
        _check_texts(arrays["arch"], ops, what)
    return ops


def _check_texts(arch: np.ndarray, ops: np.ndarray, what: str) -> None:
    """Raise `UserError` unless `arch` says the same as `ops`."""
    texts = _texts(arch)
    if texts.shape != (COUNT,):
        raise UserError(f"{what}: arch has shape {arch.shape}, expected ({COUNT},): {_REMEDY}")
    for row, (text, codes) in enumerate(zip(texts.tolist(), ops.tolist(), strict=True)):
        of = {edge: OPS[code] for edge, code in zip(EDGES, codes, strict=True)}
        expected = "+".join(
            "|" + "".join(f"{of[target, source]}~{source}|" for source in range(target)) for target in range(1, 4)
        )
        if text != expected:
            raise UserError(f"{what}: arch is {text!r} in row {row}, but ops says {expected!r} there: {_REMEDY}")


def _texts(array: np.ndarray) -> np.ndarray:
    """Return byte strings as text; what is neither becomes a text that matches nothing."""
    return np.char.decode(array, "ascii", "replace") if array.dtype.kind == "S" else array.astype(np.str_)


def _numbers(arrays: Arrays, name: str, what: str) -> np.ndarray:
    values = arrays[name]
    if values.shape != (COUNT,) or values.dtype.kind not in "fiu":
        raise UserError(
            f"{what}: {name} has shape {values.shape} and type {values.dtype}, expected ({COUNT},) numbers: {_REMEDY}"
        )
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise UserError(f"{what}: {name} is {values[wrong[0]]} in row {wrong[0]}, expected a finite number: {_REMEDY}")
    return values.astype(np.float64)


def _percent(arrays: Arrays, name: str, what: str) -> np.ndarray:
    """Return checked percentages as shares."""
    values = _numbers(arrays, name, what)
    wrong = np.flatnonzero((values < 0) | (values > 100))
    if wrong.size:
        raise UserError(f"{what}: {name} is {values[wrong[0]]:g} in row {wrong[0]}, expected 0 to 100: {_REMEDY}")
    return _locked(values / 100)


def _positive(arrays: Arrays, name: str, what: str) -> np.ndarray:
    values = _numbers(arrays, name, what)
    wrong = np.flatnonzero(values <= 0)
    if wrong.size:
        raise UserError(f"{what}: {name} is {values[wrong[0]]:g} in row {wrong[0]}, expected more than 0: {_REMEDY}")
    return _locked(values)


def _groups(arrays: Arrays, what: str) -> np.ndarray | None:
    if "unique_str" not in arrays:
        return None
    texts = arrays["unique_str"]
    if texts.shape != (COUNT,):
        raise UserError(f"{what}: unique_str has shape {texts.shape}, expected ({COUNT},): {_REMEDY}")
    return _locked(np.unique(texts, return_inverse=True)[1].reshape(-1))


def _locked(values: np.ndarray) -> np.ndarray:
    """Return the array itself, which nobody can write to any more."""
    values.setflags(write=False)
    return values


def _genotypes(ops: np.ndarray) -> tuple[Genotype, ...]:
    """Return the architecture of each row of operations, `(N, 6)`."""
    edges = [[Edge(op, source) for _, source in EDGES] for op in OPS]
    columns = [[column for column, edge in enumerate(EDGES) if edge[0] == target] for target in range(1, 4)]

    def genotype(row: list[int]) -> Genotype:
        nodes = tuple(tuple(edges[row[column]][column] for column in node) for node in columns)
        return Genotype(SPACE, (("cell", Cell(nodes, (3,))),))

    return tuple(map(genotype, ops.tolist()))
