"""Layers and candidate operations, and counting what a network made of them costs."""
