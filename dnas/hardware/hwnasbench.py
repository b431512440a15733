"""Profiles of the devices of HW-NAS-Bench (Li et al., *HW-NAS-Bench*, ICLR 2021, arXiv:2103.10584) on NAS-Bench-201.

The file is a NumPy archive: `<dataset>__<device>_<metric>` holds the cost of each of the 15,625 architectures in the
order of their published index, latency in ms and energy in mJ, -1 where a device cannot run the network. Other arrays,
such as arithmetic intensities, are left alone.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnas import plugins
from dnas.errors import UserError, reason
from dnas.genotype import Genotype
from dnas.hardware.fitted import Networks, error, fit_networks, rows
from dnas.hardware.model import FITTED, FOLDED, LIVE, WRITTEN, CostModel, Profile, Quality
from dnas.hardware.spread import spread
from dnas.hardware.unsupported import summarised
from dnas.types import Spec

SPACE = "nasbench201"
UNSUPPORTED = -1.0
NETWORK = {"channels": 16, "cells": 5}
COUNTED = {
    WRITTEN: "",
    LIVE: "; edges that no output depends on cost nothing",
    FOLDED: "; of edges that no output depends on only those cost something that a converter folds into a convolution",
}
DATASETS = {"cifar10": (10, 32), "cifar100": (100, 32), "imagenet16": (120, 16)}
"""Classes, and height and width of the images."""
_KEY = rf"({'|'.join(DATASETS)})__([a-z0-9]+)_(latency|energy)"
# All that NumPy and zipfile raise for bytes that are not what their header says.
_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, KeyError, MemoryError)


class Device(NamedTuple):
    """What HW-NAS-Bench says of a device.

    Attributes:
        words: what it is.
        how: how the costs came about.
        dtype: type of the computation, where it follows from the published program or from the device.
    """

    words: str
    how: str
    dtype: str


_MEASURED = "measured on the device"
_ESTIMATED = "estimates of an analytical model of the device, not measurements"
# TensorRT's type is the default of torch2trt, which their program EdgeGPU_Benchmark.py calls; the Edge TPU computes
# with 8 bits alone. Of the other devices the repository does not say it.
DEVICES = {
    "edgegpu": Device("Edge GPU: NVIDIA Jetson TX2 with TensorRT", _MEASURED, "float32"),
    "raspi4": Device("Raspberry Pi 4", _MEASURED, "unknown"),
    "edgetpu": Device("Google Edge TPU", _MEASURED, "int8"),
    "pixel3": Device("Google Pixel 3", _MEASURED, "unknown"),
    "eyeriss": Device("ASIC: the accelerator Eyeriss", _ESTIMATED, "unknown"),
    "fpga": Device("FPGA accelerator", _ESTIMATED, "unknown"),
}


class Made(NamedTuple):
    """A fitted model, and the error of cross-validation on the networks of the fit; `None` if they are too few."""

    model: CostModel
    checked: Quality | None


def spaces() -> tuple[Spec, tuple[Genotype, ...]]:
    """Return the groups of NAS-Bench-201, and its architectures in the order of their published index."""
    module = plugins.find(plugins.SPACES, "space", SPACE)
    return module.space(classes=2).spec, tuple(module.enumerate_all())


def read(path: Path) -> dict[tuple[str, str, str], np.ndarray]:
    """Return costs `(15625,)` float64 by device, metric and data set; NaN for unsupported networks.

    Raises:
        UserError: if the file is missing, damaged, or no such archive.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = {found: found[0] for name in archive if (found := re.fullmatch(_KEY, name))}
            arrays = {(key[2], key[3], key[1]): np.asarray(archive[name], np.float64) for key, name in keys.items()}
    except _DAMAGE as error:
        raise UserError(
            f"cannot read {str(path)!r} as costs of HW-NAS-Bench ({reason(error)}): give a NumPy archive with arrays "
            f"such as 'cifar10__raspi4_latency'"
        ) from None
    known = {key: costs for key, costs in arrays.items() if key[0] in DEVICES}
    if not known:
        raise UserError(
            f"{str(path)!r} has no costs of HW-NAS-Bench: expected arrays such as 'cifar10__raspi4_latency', for the "
            f"devices {', '.join(DEVICES)}"
        )
    for key, costs in known.items():
        if costs.shape != (5**6,) or not (np.isfinite(costs) & ((costs >= 0) | (costs == UNSUPPORTED))).all():
            raise UserError(
                f"{str(path)!r}, {' '.join(key)}: expected 15,625 costs that are 0 or more, or -1 where unsupported, "
                f"got shape {costs.shape} from {np.nanmin(costs) if costs.size else 'nothing'}: take the published ones"
            )
    return {key: np.where(costs == UNSUPPORTED, np.nan, costs) for key, costs in known.items()}


def division(own: Networks, supported: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the networks of the fit and of all others, supported ones alone.

    Those of the fit are spread evenly (`dnas.hardware.spread`), which looks at their operations and not at their costs.
    """
    usable = np.flatnonzero(supported & own.connected)
    used = usable[spread(own.edges[WRITTEN][usable], count, np.random.default_rng(seed))]
    return used, np.setdiff1d(np.flatnonzero(supported), used)


def profiles(path: Path, networks: int = 200, seed: int = 0) -> Iterator[tuple[Profile, tuple[Made, ...]]]:
    """Yield a profile for each device, whose models are those of the fit to `networks` networks.

    Their error is that on all other networks, and they are not fitted again with those. Which networks a device cannot
    run is no estimate: the patterns say it of all 15,625 as published.

    Args:
        path: the archive.
        networks: how many of them are used for the fit.
        seed: decides which, among choices that are equally good.

    Raises:
        UserError: if the file is not such an archive, or there are too few networks to fit or to measure the error on.
    """
    arrays = read(path)
    own = rows(*spaces())

    @cache
    def divided(supported: bytes) -> tuple[np.ndarray, np.ndarray]:
        return division(own, np.frombuffer(supported, bool), networks, seed)

    for name, device in DEVICES.items():
        measured = {key: costs for key, costs in arrays.items() if key[0] == name}
        made = tuple(
            _made(key, costs, own, *divided((~np.isnan(costs)).tobytes()), seed) for key, costs in measured.items()
        )
        if made:
            yield Profile(name, f"{device.words}, by HW-NAS-Bench", tuple(one.model for one in made)), made


def _made(
    key: tuple[str, str, str],
    costs: np.ndarray,
    own: Networks,
    used: np.ndarray,
    others: np.ndarray,
    seed: int,
) -> Made:
    device, metric, dataset = key
    how = DEVICES[device].how
    found = fit_networks(own.of(used), costs[used])
    patterns = _patterns(own, costs)
    left = COUNTED[found.edges]
    read = f"; which networks it cannot run was read off all {len(costs)} published entries" if patterns else ""
    classes, side = DATASETS[dataset]
    model = CostModel(
        name=device,
        metric=metric,
        kind=FITTED,
        space=SPACE,
        ops={name: tuple(group.ops) for name, group in own.spec.items()},
        table=found.table,
        network={**NETWORK, "classes": classes, "image": [side, side, 3]},
        batch_size=1,
        dtype=DEVICES[device].dtype,
        source=f"HW-NAS-Bench (Li et al., ICLR 2021), {metric} of NAS-Bench-201 networks on {dataset}, "
        f"{how}; additive table fitted to {len(used)} networks chosen by their operations alone (seed {seed}), its "
        f"error is that on all others that the device can run and whose output depends on their input{left}{read}",
        quality=error(own.of(others), costs[others], found),
        unsupported=patterns,
        edges=found.edges,
    )
    return Made(model, found.checked)


def _patterns(own: Networks, costs: np.ndarray) -> dict[str, tuple[tuple[str, ...], ...]]:
    ((name, group),) = own.spec.items()
    chosen = own.edges[WRITTEN].reshape(-1, group.edges, len(group.ops)).argmax(axis=-1)
    patterns = summarised(group.ops, chosen, ~np.isnan(costs))
    return {name: patterns} if patterns else {}
