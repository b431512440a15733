"""The report's section on the finalists of a search: what each reached in a short training."""

from dataclasses import dataclass
from html import escape

from dnas.genotype import Genotype
from dnas.report import parts
from dnas.report.fields import Fields
from dnas.report.words import count, percent, plural


@dataclass(frozen=True)
class Finalist:
    """An architecture that was trained for a while before one was kept.

    Attributes:
        place: what the search itself thought of it; 1 is its first choice.
        genotype: the architecture.
        accuracy: on images that it was not trained on.
        images: how many these were.
        epochs: of its training.
        params: parameters of its network.
        macs: multiply-adds; `None` where they were not counted.
    """

    place: int
    genotype: Genotype
    accuracy: float
    images: int
    epochs: int
    params: int
    macs: int | None


def read_finalists(result: Fields) -> tuple[Finalist, ...]:
    """Return the finalists of a run, the kept one first; none where none were compared."""
    found = []
    for index, value in enumerate(result.items("finalists")):
        own = Fields(f"{result.where}: 'finalists' {index}", value)
        macs = own.maybe("macs")
        found.append(
            Finalist(
                place=own.count("place"),
                genotype=own.genotype("genotype"),
                accuracy=own.share("valid_accuracy"),
                images=own.count("valid_images"),
                epochs=own.count("epochs"),
                params=own.count("params"),
                macs=None if macs is None else int(macs),
            )
        )
    return tuple(found)


def finalists(found: tuple[Finalist, ...]) -> str:
    """Return the section; empty where there were none."""
    if not found:
        return ""

    def row(one: Finalist) -> tuple[str, list[str]]:
        cells = [str(one.place), percent(one.accuracy, one.images), count(one.params), count(one.macs)]
        return "mine" if one is found[0] else "", cells

    heads = ["Place in the search", "Validation accuracy", "Parameters", "Multiply-adds"]
    genotypes = "".join(
        f'<h3>place {one.place}</h3><div class="card"><pre>{escape(str(one.genotype))}</pre></div>' for one in found
    )
    return parts.section(
        "Finalists",
        parts.paragraph(
            f"The architectures that the search thought most of, each trained for {plural(found[0].epochs, 'epoch')} "
            f"on a part of the training images. The one with the highest accuracy on the {found[0].images:,} others "
            "was kept. That is the best of several on the same images, so it flatters; no test image is among them.",
            "soft",
        ),
        parts.scroller("finalists", parts.table(heads, [row(one) for one in found], "comparison")),
        f"<details><summary>Their architectures</summary>{genotypes}</details>",
    )
