"""How well a profile predicts networks on which it was not made, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dnas.errors import CannotWrite
from dnas.hardware.model import Quality


def picture(path: Path, title: str, true: Sequence[float], predicted: Sequence[float], error: Quality) -> None:
    """Write measured over predicted milliseconds as PNG; `CannotWrite` if that fails."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4.4), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
    axes: Any = figure.subplots()
    ends = (0.9 * min(*true, *predicted), 1.1 * max(*true, *predicted))
    axes.plot(ends, ends, color="#1b2430", linewidth=0.8)
    axes.scatter(predicted, true, s=22, color="#3b7dd8", linewidth=0)
    axes.set(xlim=ends, ylim=ends, xscale="log", yscale="log", xlabel="predicted, ms", ylabel="measured, ms")
    axes.set_title(
        f"{title}\n{error.networks} networks, Spearman {error.spearman:.3f}, MAPE {100 * error.mape:.1f} %",
        fontsize=9,
        loc="left",
    )
    try:
        figure.savefig(path, format="png", metadata={"Software": None})
    except OSError as problem:
        raise CannotWrite(path, problem) from None
