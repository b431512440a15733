"""Trained networks as files that run without this library: StableHLO, ONNX, and a Flax module to edit.

`dnas export` writes a run's network; `export` writes any `Network`.
"""

from dnas.export.network import export
from dnas.export.program import Program, program

__all__ = ["Program", "export", "program"]
