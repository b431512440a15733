"""An architecture: its cells drawn, or the operations that it keeps as a table."""

from rich.table import Table

from dnas.display import text
from dnas.display.decisions import Decision, alone, decisions_svg
from dnas.genotype import Genotype
from dnas.report.cells import cell_svg, input_name, inputs_of
from dnas.report.words import cell_title

BLOCK = '<div style="max-width:100%;overflow-x:auto;margin:4px 0">'


def genotype_html(genotype: Genotype) -> str:
    """Return the drawings of the cells, one below the other, as an HTML fragment; choices that stand alone first."""
    inputs = inputs_of(genotype)
    made = [Decision(name, (cell.nodes[0][0].op,)) for name, cell in genotype.cells if alone(cell)]
    drawings = [decisions_svg(made, f"{genotype.space}: what was kept")] if made else []
    drawings += [cell_svg(cell, cell_title(name), inputs) for name, cell in genotype.cells if not alone(cell)]
    return "".join(f"{BLOCK}{drawing}</div>" for drawing in drawings)


def genotype_table(genotype: Genotype) -> Table:
    """Return a row for each kept edge: its cell, the state that it enters, the state that it leaves, the operation.

    Where all are choices that stand alone, a row holds its name and what was kept.
    """
    inputs = inputs_of(genotype)
    title = f"an architecture of the space {genotype.space}"
    if all(alone(cell) for _, cell in genotype.cells):
        table = text.columns(title, "choice", "kept")
        for name, cell in genotype.cells:
            table.add_row(name, cell.nodes[0][0].op)
        return table
    table = text.columns(title, "cell", "state", "from", "operation")
    for name, cell in genotype.cells:
        for index, node in enumerate(cell.nodes):
            for edge in node:
                source = input_name(edge.source, inputs) if edge.source < inputs else str(edge.source)
                table.add_row(name, str(inputs + index), source, edge.op)
        table.add_section()
    return table
