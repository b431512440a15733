"""CIFAR-10 in its official binary layout (Krizhevsky, Learning multiple layers of features from tiny images, 2009).

A record is 3,073 bytes: the label, then 1,024 red, 1,024 green and 1,024 blue values in row-major order.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dnas.data.dataset import Augment, Dataset, make
from dnas.data.files import directory
from dnas.errors import UserError, reason

FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILE = "test_batch.bin"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORDS = 10_000
RECORD_BYTES = 1 + 3 * 32 * 32

# The constants of the DARTS experiments, kept to the digit so that accuracies can be compared with published ones.
MEAN = (0.49139968, 0.48215827, 0.44653124)
STD = (0.24703233, 0.24348505, 0.26158768)


def load(argument: str = "", data_dir: str | Path | None = None) -> Dataset:
    """Return CIFAR-10: 50,000 training images in the order of the five files, and 10,000 test images, 32x32x3.

    Args:
        argument: not used; the data set takes none.
        data_dir: the folder that holds `cifar-10-batches-bin`, or that folder itself; see `files.directory`.

    Raises:
        UserError: if a file is missing or is not what it should be.
    """
    return read(find(directory(data_dir)))


def find(data_dir: Path) -> Path:
    """Return the folder where the files of CIFAR-10 lie, or should lie."""
    inner = data_dir / FOLDER
    return data_dir if not inner.is_dir() and (data_dir / TRAIN_FILES[0]).is_file() else inner


def read(folder: Path, records: int = RECORDS) -> Dataset:
    """Read the six files in `folder`, of `records` records each; raises as `load` does."""
    x_train, y_train = _batches([folder / name for name in TRAIN_FILES], records)
    x_test, y_test = _batches([folder / TEST_FILE], records)
    return make(
        "cifar10",
        x_train,
        y_train,
        x_test,
        y_test,
        classes=CLASSES,
        augment=Augment(crop_padding=4, flip=True),
        mean=MEAN,
        std=STD,
    )


def _batches(paths: Sequence[Path], records: int) -> tuple[np.ndarray, np.ndarray]:
    table = np.concatenate([_records(path, records) for path in paths])
    return table[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), table[:, 0]


def _records(path: Path, records: int) -> np.ndarray:
    """Return the `(records, 3073)` bytes of one file."""
    expected = records * RECORD_BYTES
    try:
        size = path.stat().st_size
        data = np.fromfile(path, np.uint8) if size == expected else None
    except FileNotFoundError:
        raise UserError(
            f"CIFAR-10 is not in place: no file {str(path)!r}; "
            f"{_remedy('put the six .bin files of its binary version there')}"
        ) from None
    except OSError as error:
        raise UserError(f"CIFAR-10: cannot read {str(path)!r} ({reason(error)}); {_remedy('repair it')}") from None
    if data is None or data.size != expected:
        raise UserError(
            f"CIFAR-10: {str(path)!r} has {size:,} bytes, expected {expected:,}; {_remedy('replace the file')}"
        )
    table = data.reshape(records, RECORD_BYTES)
    wrong = np.flatnonzero(table[:, 0] >= len(CLASSES))
    if wrong.size:
        raise UserError(
            f"CIFAR-10: {str(path)!r} has the label {table[wrong[0], 0]} in record {wrong[0]}, expected 0..9; "
            f"{_remedy('replace the file')}"
        )
    return table


def _remedy(otherwise: str) -> str:
    return f"run `dnas data cifar10` or {otherwise}"
