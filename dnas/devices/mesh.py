"""The devices that divide each minibatch among them.

The data are divided, everything else is whole on every device: weights, batch statistics, architecture parameters
and both optimisers are replicated arrays, and a step is one program for all devices (`jit` with shardings). A mean
over the batch, also that of batch norm, is therefore the mean over the whole minibatch, and the compiler adds the
sums over devices that this takes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from dnas.errors import UserError

Tree = TypeVar("Tree")
Wanted = int | str | None
"""How many devices of each process: a number, `all`, or `None` for one."""
AXIS = "batch"


@dataclass(frozen=True)
class Devices:
    """Where programs run: on JAX's default device, or with minibatches divided among the devices of a mesh.

    Attributes:
        mesh: the devices on one axis; `None` is the default device, for which every program stays as it is.
    """

    mesh: Mesh | None = None

    @property
    def count(self) -> int:
        """Number of devices, those of other processes included."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def whole(self) -> NamedSharding | None:
        """Sharding of arrays of which every device holds a copy; `None` on one device."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())

    def check(self, setting: str, batch_size: int) -> None:
        """Raise `UserError` unless minibatches of `batch_size`, which is what `setting` says, can be divided evenly."""
        if batch_size % self.count:
            raise UserError(
                f"{setting} is {batch_size}, which {self.count} devices cannot share evenly: choose a multiple of "
                f"{self.count}, or another number of devices"
            )

    def everywhere(self, tree: Tree) -> Tree:
        """Copy a pytree of arrays to every device of this process; all processes must give the same values."""
        whole = self.whole
        return tree if whole is None else jax.tree.map(lambda leaf: _replicated(leaf, whole), tree)

    def here(self, tree: Tree) -> Tree:
        """Return this process's first copy of replicated arrays, for work outside the common program."""
        return tree if self.mesh is None else jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)

    def divide(self, tree: Tree) -> Tree:
        """Inside `jit`, divide the first axis of every array, the minibatch, among the devices."""
        if self.mesh is None:
            return tree
        return jax.lax.with_sharding_constraint(tree, NamedSharding(self.mesh, PartitionSpec(AXIS)))

    def share(self, tree: Tree) -> Tree:
        """Inside `jit`, as `divide` for what every device computes as a whole, to take its own part of it."""
        # Without the first constraint the compiler would divide also what leads up to it: random orders and the like.
        return tree if self.mesh is None else self.divide(jax.lax.with_sharding_constraint(tree, self.whole))

    def jit(self, function: Callable[..., Any], **options: Any) -> Any:
        """Return `jax.jit(function, **options)`, its results whole on every device."""
        if self.mesh is not None:
            options["out_shardings"] = self.whole
        return jax.jit(function, **options)


ONE = Devices()
"""JAX's default device."""


def choose(wanted: Wanted = None) -> Devices:
    """Return the first `wanted` devices of this process, and as many of each other process of the run.

    Raises:
        UserError: if there are not so many.
    """
    here = jax.local_device_count()
    count = here if wanted == "all" else 1 if wanted is None else wanted
    if not isinstance(count, int) or count < 1:
        raise UserError(f"--devices: expected a number from 1, or 'all', got {wanted!r}")
    if count > here:
        kind = jax.local_devices()[0].platform.upper()
        raise UserError(f"--devices: expected at most {here}, the {kind} devices of this process, got {count}")
    if count == 1 and jax.process_count() == 1:
        return ONE
    chosen = [
        device
        for process in range(jax.process_count())
        for device in [one for one in jax.devices() if one.process_index == process][:count]
    ]
    return Devices(jax.make_mesh((len(chosen),), (AXIS,), axis_types=(AxisType.Auto,), devices=chosen))


def _replicated(leaf: Any, whole: NamedSharding) -> Any:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _replicated(jax.random.key_data(leaf), whole)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    # Through the host: a copy that shared memory with `leaf` would be lost when one of the two is donated.
    value = np.asarray(leaf)
    own = [device for device in whole.mesh.devices.flat if device.process_index == jax.process_index()]
    copies = [jax.device_put(value, device) for device in own]
    return jax.make_array_from_single_device_arrays(value.shape, whole, copies)
