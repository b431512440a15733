"""How architecture parameters become operation weights: one file each, a factory of the file's name.

Files whose name starts with an underscore hold what several of them share.
"""

from dnas.relaxations.auxiliary_skip import auxiliary_skip
from dnas.relaxations.binary_gates import binary_gates
from dnas.relaxations.dirichlet import dirichlet
from dnas.relaxations.edge_normalised import edge_normalised
from dnas.relaxations.gdas import gdas
from dnas.relaxations.gumbel_softmax import gumbel_softmax
from dnas.relaxations.joint_softmax import joint_softmax
from dnas.relaxations.masked import masked
from dnas.relaxations.max_w import max_w
from dnas.relaxations.op_dropout import op_dropout
from dnas.relaxations.reinmax import reinmax
from dnas.relaxations.sigmoid import sigmoid
from dnas.relaxations.single_path import single_path
from dnas.relaxations.skip_dropout import skip_dropout
from dnas.relaxations.softmax import softmax
from dnas.relaxations.sparsemax import sparsemax

__all__ = [
    "auxiliary_skip",
    "binary_gates",
    "dirichlet",
    "edge_normalised",
    "gdas",
    "gumbel_softmax",
    "joint_softmax",
    "masked",
    "max_w",
    "op_dropout",
    "reinmax",
    "sigmoid",
    "single_path",
    "skip_dropout",
    "softmax",
    "sparsemax",
]
