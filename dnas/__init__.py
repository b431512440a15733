"""Differentiable neural architecture search in JAX: a search is a value.

`dnas.darts(space)` returns a `Search`, a pair of pure functions `init` and `step` that work under the caller's own
`jit`, `scan` and `vmap`; `dnas.search.compose` puts one together from parts. `dnas.find(space, data)` is the whole of a
search in one call: search, choose, train, compare.
"""

from dnas import data, tasks
from dnas.choices import Choice, InputChoice, Repeat, space
from dnas.display import Run
from dnas.errors import UserError
from dnas.find import Found, find
from dnas.genotype import Cell, Edge, Genotype
from dnas.methods.darts import darts
from dnas.methods.darts_minus import darts_minus
from dnas.methods.darts_plus import darts_plus
from dnas.methods.darts_pt import darts_pt
from dnas.methods.darts_second_order import darts_second_order
from dnas.methods.darts_single_level import darts_single_level
from dnas.methods.drnas import drnas
from dnas.methods.drnas_progressive import drnas_progressive
from dnas.methods.drop_nas import drop_nas
from dnas.methods.fair_darts import fair_darts
from dnas.methods.gdas import gdas
from dnas.methods.gm_nas import gm_nas
from dnas.methods.idarts import idarts
from dnas.methods.oles import oles
from dnas.methods.p_darts import p_darts
from dnas.methods.pc_darts import pc_darts
from dnas.methods.proxyless import proxyless
from dnas.methods.r_darts import r_darts
from dnas.methods.rarts import rarts
from dnas.methods.rc_darts import rc_darts
from dnas.methods.sdarts import sdarts
from dnas.methods.setn import setn
from dnas.methods.sharp_darts import sharp_darts
from dnas.methods.snas import snas
from dnas.methods.spos import spos
from dnas.methods.zero_cost import zero_cost
from dnas.types import (
    Batch,
    Batches,
    Between,
    Course,
    Group,
    Network,
    Search,
    SearchInfo,
    SearchSpace,
    SearchState,
    Task,
)

__all__ = [
    "Batch",
    "Batches",
    "Between",
    "Cell",
    "Choice",
    "Course",
    "Edge",
    "Found",
    "Genotype",
    "Group",
    "InputChoice",
    "Network",
    "Repeat",
    "Run",
    "Search",
    "SearchInfo",
    "SearchSpace",
    "SearchState",
    "Task",
    "UserError",
    "darts",
    "darts_minus",
    "darts_plus",
    "darts_pt",
    "darts_second_order",
    "darts_single_level",
    "data",
    "drnas",
    "drnas_progressive",
    "drop_nas",
    "fair_darts",
    "find",
    "gdas",
    "gm_nas",
    "idarts",
    "oles",
    "p_darts",
    "pc_darts",
    "proxyless",
    "r_darts",
    "rarts",
    "rc_darts",
    "sdarts",
    "setn",
    "sharp_darts",
    "snas",
    "space",
    "spos",
    "tasks",
    "zero_cost",
]
