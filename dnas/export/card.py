"""The card of an exported network: what it is, how good, how large, what it costs and where it comes from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dnas.errors import UserError
from dnas.export.check import Checked
from dnas.export.files import FILES
from dnas.export.page import page
from dnas.export.program import Layer
from dnas.export.trained import Trained, without_limits
from dnas.run.budget import budget
from dnas.run.environment import describe

CARD, PAGE = "card.json", "README.md"
SCHEMA = "dnas.card/1"


class Costs(NamedTuple):
    """What a network costs on devices: entries as `Budget.costs` has them, and what is to be known of them."""

    entries: list[dict[str, Any]]
    notes: list[str]


def costs_on(trained: Trained, hardware: tuple[str, ...]) -> Costs:
    """Return what a run's network costs on these devices; without any, what the run itself wrote down.

    Raises:
        UserError: for unknown hardware, or a profile of another space.
    """
    if not hardware:
        return Costs(list(trained.result.get("costs", [])), list(trained.result.get("cost_notes", [])))
    data = trained.dataset
    config = without_limits(trained.config, hardware)
    own = budget(config, trained.space, data.image_shape, len(data.classes), trained.module.build)
    return Costs(own.costs(trained.space, trained.genotype), list(own.notes))


def card(
    trained: Trained,
    layers: Sequence[Layer],
    checks: Mapping[str, Checked],
    folder: Path,
    *,
    folded: bool,
    accuracy: float,
    costs: Costs,
    command: str,
) -> dict[str, Any]:
    """Return the card as JSON values.

    Args:
        trained: the run's network.
        layers: of the exported program.
        checks: what came of the check of each format.
        folder: where the exported files lie.
        folded: whether batch norm was folded where it can be.
        accuracy: of the network, computed again on the images of the checks.
        costs: of the network.
        command: this process's command.
    """
    data, result = trained.dataset, trained.result
    workload = trained.network.workload(data.image_shape)
    sizes = {file: (folder / file).stat().st_size for to in checks for file in FILES[to]}
    return {
        "schema": SCHEMA,
        "space": trained.config.space,
        "genotype": trained.genotype.to_json(),
        "network": trained.building,
        "input": {"type": "uint8", "shape": [None, *data.image_shape], "mean": data.mean, "std": data.std},
        "output": {"type": "float32", "shape": [None, len(data.classes)], "classes": data.classes},
        "data": trained.written["data"],
        "accuracy": {"recorded": result["retrain"]["test_accuracy"], "images": result["retrain"]["test_images"]},
        "size": {
            "params": workload.params,
            "exported": sum(array.size for layer in layers for array in layer.variables.values()),
            "macs": workload.macs,
            "memory": _memory(trained),
            "files": sizes,
        },
        "batch_norm": {
            "folded": sum(bool(layer.norm) for layer in layers),
            "left": [layer.path for layer in layers if layer.is_norm],
            "asked": folded,
        },
        "checks": {to: {**one._asdict(), "network_score": accuracy} for to, one in checks.items()},
        "costs": costs.entries,
        "cost_notes": costs.notes,
        "reproduce": {
            "command": trained.written.get("command"),
            "export": command,
            "seed": trained.config.seed,
            "trained_with": trained.written.get("environment"),
            "exported_with": describe(),
        },
    }


def write_card(folder: Path, own: Mapping[str, Any]) -> None:
    """Write a card as `card.json` and as a page to read, `README.md`."""
    (folder / CARD).write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(page(own), encoding="utf-8")


def _memory(trained: Trained) -> int | None:
    """Return the most bytes of activations at once for one image; `None` for networks whose kernels are not known."""
    from dnas.hardware.kernels import program
    from dnas.hardware.roofline import WIDTHS

    try:
        return int(WIDTHS["float32"] * program(trained.network, trained.dataset.image_shape).peak())
    except UserError:
        return None
