"""The machine that the numbers belong to: what it is, what is installed, and how much memory it has left."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax

from dnas.run.environment import describe


def environment() -> dict[str, Any]:
    """Return versions, device, processor, cores, memory and load as plain JSON values; `None` for what is unknown."""
    return {
        **describe(),
        "torch": _version("torch"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _meminfo("MemTotal"),
        "device_memory_bytes": _device("bytes_limit"),
        "load_average_1_minute": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "machine": platform.machine(),
    }


def free_bytes() -> int | None:
    """Return the memory that is free where programs run, `None` where the platform does not say."""
    limit, used = _device("bytes_limit"), _device("bytes_in_use")
    if limit is not None and used is not None:
        return limit - used
    return _meminfo("MemAvailable") if jax.default_backend() == "cpu" else None


def on_gpu() -> bool:
    """Whether programs run on a GPU."""
    return jax.default_backend() == "gpu"


def _device(name: str) -> int | None:
    stats = jax.devices()[0].memory_stats()
    return int(stats[name]) if stats and name in stats else None


def _meminfo(name: str) -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
