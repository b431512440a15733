"""Fronts of accuracy against cost: one supernet for each seed, and of it the best architecture for every budget."""

from dnas.pareto.run import pareto

__all__ = ["pareto"]
