"""Several devices: dividing minibatches among them, processes that work together, and what they send each other."""

from dnas.devices.collectives import Traffic, traffic
from dnas.devices.mesh import ONE, Devices, Wanted, choose

__all__ = ["ONE", "Devices", "Traffic", "Wanted", "choose", "traffic"]
