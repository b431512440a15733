"""A stand-in for the package `nats_bench` 1.8: its interface over made-up numbers, with its traps.

By default one of several trials is drawn; `cifar10` has no validation accuracy; sizes differ among the trials of 200
epochs; what was read is kept in `arch2infos_dict`.
"""

import itertools
import os
import random

OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
SEEDS = {"12": (111, 777), "200": (777, 888, 999)}
IMAGES = {"cifar10-valid": 0.5, "cifar10": 1.0, "cifar100": 2.0, "ImageNet16-120": 3.0}


def architectures() -> list[str]:
    rows = list(itertools.product(OPS, repeat=6))
    random.Random(3).shuffle(rows)
    return ["|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*row) for row in rows]


def accuracy(index: int, dataset: str, hp: str, part: str, seed: int) -> float:
    """Percent, different for every argument."""
    parts = ("train", "valid", "test", "valtest")
    number = (len(parts) * list(IMAGES).index(dataset) + parts.index(part)) * 2 + (hp == "200")
    return 10 + 2 * number + index / 15_625 + seed / 1e5


class Api:
    def __init__(self, path: str, fast_mode: bool) -> None:
        if not isinstance(path, str):
            raise ValueError(f"file_path_or_dict [{type(path)}] must be a dict or archive_dir must be set")
        if not os.path.isfile(path) and not os.path.isdir(path):
            raise ValueError(f"{path} is neither a file or a dir.")
        if fast_mode != os.path.isdir(path):
            raise ValueError(f"fast_mode={fast_mode} must feed the path for a {'directory' if fast_mode else 'file'}")
        content = os.path.join(path, "meta.pickle.pbz2") if fast_mode else path
        with open(content, "rb") as file:
            if file.read() != b"official":
                raise OSError("Invalid data stream")
        self.meta_archs = architectures()[: 10 if "few" in path else None]
        self.broken = 5 if "broken" in path else -1
        self.arch2infos_dict: dict[int, object] = {}

    def __len__(self) -> int:
        return len(self.meta_archs)

    def _prepare(self, index: int) -> None:
        assert isinstance(index, int)
        assert 0 <= index < len(self)
        assert index != self.broken, "invalid data path : 000005.pickle.pbz2"
        assert len(self.arch2infos_dict) < 100, "out of memory"
        self.arch2infos_dict[index] = {}

    def arch(self, index: int) -> str:
        return self.meta_archs[index]

    def get_unique_str(self, arch: int) -> str:
        return f"group of {self.meta_archs[arch][:8]}"

    def get_more_info(self, index, dataset, iepoch=None, hp="12", is_random=True):
        self._prepare(index)
        seeds = SEEDS[str(hp)]
        if is_random is True:
            seeds = (random.choice(seeds),)

        def mean(part):
            return sum(accuracy(index, dataset, str(hp), part, seed) for seed in seeds) / len(seeds)

        seconds = (50 + index / 100) * IMAGES[dataset] * int(hp) / 12
        found = {"train-accuracy": mean("train"), "train-all-time": seconds, "train-per-time": seconds / int(hp)}
        found |= {"test-accuracy": mean("test"), "test-all-time": seconds / 9, "test-per-time": 1.0}
        if dataset != "cifar10":
            found |= {"valid-accuracy": mean("valid"), "valid-all-time": seconds / 8, "valid-per-time": 1.0}
        if dataset in ("cifar100", "ImageNet16-120"):
            found |= {"valtest-accuracy": mean("valtest")}
        return found

    def get_cost_info(self, index, dataset, hp="12"):
        self._prepare(index)
        wrong = 0.5 if hp == "200" else 1.0
        size = 1 + index / 1000
        return {"flops": wrong * (10 + size * IMAGES[dataset]), "params": wrong * size, "latency": None}


def create(file_path_or_dict, search_space, fast_mode=False, verbose=True):
    if search_space not in ("tss", "topology"):
        raise ValueError(f"invalid search space : {search_space}")
    if verbose:
        print("Try to create the NATS-Bench (topology) api")
    return Api(file_path_or_dict, fast_mode)
