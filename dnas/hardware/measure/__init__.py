"""Measuring what the operations of a search space cost on the present device, and how they add up."""
