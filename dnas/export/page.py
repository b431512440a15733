"""A card as a page to read, in Markdown."""

from collections.abc import Mapping
from typing import Any

from dnas.export.check import NEEDS, TOLERANCE
from dnas.export.files import FILES
from dnas.run.budget import told

_USE: Mapping[str, str] = {
    "stablehlo": """from pathlib import Path
from jax import export

network = export.deserialize(bytearray(Path("model.stablehlo").read_bytes()))
logits = network.call(images)""",
    "onnx": """import onnxruntime

network = onnxruntime.InferenceSession("model.onnx")
(logits,) = network.run(None, {"inputs": images})""",
    "flax": """from model import Network, load

logits = Network().apply(load("weights.safetensors"), images)""",
}


def page(own: Mapping[str, Any]) -> str:
    """Return a card of `dnas.export.card` in Markdown."""
    data = own["data"]
    height, width, channels = data["shape"]
    parts = [
        f"# A network of the search space {own['space']}",
        f"It maps uint8 images `(N, {height}, {width}, {channels})`, any N, to float32 logits `(N, "
        f"{len(data['classes'])})`. Pixels are divided by 255 and normalised inside.",
        f"Classes: {', '.join(data['classes'])}.",
        "## Use",
        *(f"### {to}\n\n`pip install {' '.join(NEEDS[to])}`\n\n```python\n{_USE[to]}\n```" for to in own["checks"]),
        "## Data",
        f"`{data['name']}`: {data['train']:,} training and {data['test']:,} test images, SHA-256 "
        f"`{data['fingerprint']}`.",
        "## Accuracy",
        _accuracy(own),
        "## Size and cost",
        _size(own),
        "## Reproduce",
        _origin(own["reproduce"]),
    ]
    return "\n\n".join(parts) + "\n"


def _accuracy(own: Mapping[str, Any]) -> str:
    """Return the accuracy that was recorded, and a table of what the files scored."""
    recorded, checks = own["accuracy"], own["checks"]
    first = next(iter(checks.values()))
    rows = ["| format | files | bytes | largest difference | accuracy |", "|---|---|--:|--:|--:|"]
    for to, one in checks.items():
        size = sum(own["size"]["files"][file] for file in FILES[to])
        files = ", ".join(f"`{file}`" for file in FILES[to])
        rows.append(f"| {to} | {files} | {size:,} | {one['difference']:.1e} | {100 * one['score']:.2f} % |")
    table = "\n".join(rows)
    return (
        f"{100 * recorded['recorded']:.2f} % of {recorded['images']:,} test images when it was trained. The files were "
        f"run in processes without dnas on {first['inputs']:,} test images, of which the network itself gets "
        f"{100 * first['network_score']:.2f} % right:\n\n{table}\n\n"
        f"Differences are of logits, and at most {TOLERANCE:g} in units of the largest one, or of 1 if that is more."
    )


def _size(own: Mapping[str, Any]) -> str:
    """Return sizes and costs as a list."""
    size, norms = own["size"], own["batch_norm"]
    left = f"; {len(norms['left'])} left as they are ({', '.join(norms['left'])})" if norms["left"] else ""
    lines = [
        f"parameters: {size['params']:,} trained, {size['exported']:,} numbers exported",
        f"multiply-adds, one image: {size['macs']:,}",
        *([] if size["memory"] is None else [f"peak memory of activations, one image: {size['memory']:,} bytes"]),
        f"batch norms: {norms['folded']} folded into the layer before them{left if norms['asked'] else '; none asked'}",
        *([told(entry) for entry in own["costs"]] or ["cost on devices: name some with `dnas export --hardware`"]),
        *(f"note: {note}" for note in own["cost_notes"]),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _origin(origin: Mapping[str, Any]) -> str:
    """Return the commands, and with what they ran."""
    used = origin["trained_with"] or {}
    named = ("dnas", "jax", "flax", "python", "device")
    versions = ", ".join(f"{name} {used[name]}" for name in named if name in used)
    commit = f", git commit {used['git_commit']}" if used.get("git_commit") else ""
    return f"```\n{origin['command']}\n{origin['export']}\n```\n\nSeed {origin['seed']}{commit}; {versions}."
