"""Zero-cost proxies: what an architecture may be worth, told by one minibatch before anything is trained.

A proxy is a function `(space, variables, mixture, x) -> score`, a float32 scalar of which larger is better; a module
here is named after it. It asks the supernet, as `mixture` chooses in it, so that one compiled program serves all
architectures. Proxies are only good for putting architectures in order; their units are not comparable, so that
several are combined by ranks (`dnas.selection.evolution.by_rank`).
"""

from dnas.proxies.jacob_cov import jacob_cov
from dnas.proxies.synflow import synflow

__all__ = ["jacob_cov", "synflow"]
