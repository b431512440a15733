"""What communication costs on paper: bytes and messages counted in a program, times what links are said to carry."""

import math
from typing import NamedTuple

from dnas.devices.collectives import Traffic


class Network(NamedTuple):
    """Accelerators in hosts, each with a link of its own in both fabrics; bandwidths are those of one direction.

    The defaults are published for NVIDIA's DGX H100: NVLink 4 carries 900 GB/s in both directions together, a
    ConnectX-7 port 400 Gbit/s. The two latencies are assumptions of the usual size for NCCL.

    Attributes:
        per_host: accelerators in a host.
        inside: bytes per second within a host.
        between: bytes per second and accelerator between hosts.
        start: seconds that a collective operation takes within a host however small it is.
        hop: seconds from one host to another.
    """

    per_host: int = 8
    inside: float = 450e9
    between: float = 50e9
    start: float = 10e-6
    hop: float = 5e-6


class Seconds(NamedTuple):
    """Time that a step's communication takes: of its bytes in a ring, and of its messages in a tree of hosts."""

    bytes: float
    messages: float

    @property
    def total(self) -> float:
        """Both, for nothing is assumed to overlap."""
        return self.bytes + self.messages


DGX_H100 = Network()


def communication(sent: Traffic, devices: int, network: Network = DGX_H100) -> Seconds:
    """Return the time of all-reduces with this traffic.

    A ring moves `2 (n - 1) / n` of the payload over each link, and the slowest link decides. A tree of h hosts is
    `2 log2 h` hops deep, up and down. Ring for bytes and tree for messages is what a library that picks the better
    algorithm comes close to. Computation that overlaps would hide some of it.

    Args:
        sent: traffic of a step.
        devices: accelerators n.
        network: what connects them.
    """
    if devices == 1:
        return Seconds(0.0, 0.0)
    hosts = -(-devices // network.per_host)
    bandwidth = network.inside if hosts == 1 else network.between
    depth = 2 * math.log2(hosts)
    return Seconds(
        2 * (devices - 1) / devices * sent.total / bandwidth, sent.calls * (network.start + depth * network.hop)
    )
