"""What all NNX layers with open choices have in common."""

from flax import nnx

from dnas.choices.context import Decision
from dnas.choices.naming import checked


class Open(nnx.Module):
    """A layer that asks what is decided.

    Attributes:
        decision: the name under which layers share one decision; `None` decides for this place in the model alone.
        place: the attributes that lead to the layer in its model; `dnas.space` fills them in.
        turn: an object of its own for each call of the model, so that JAX, which remembers the traces of functions that
            a model makes once, such as that of an `nnx.scan`, takes a model of which something else is decided for
            another.
    """

    def __init__(self, decision: str | None) -> None:
        self.decision = decision
        self.place: tuple[str, ...] = ()
        self.turn: object = None

    def own(self, options: tuple[str, ...], part: str = "") -> Decision:
        """Return the layer's decision between these options; `UserError` as `dnas.choices.naming.checked`.

        Args:
            options: what may be chosen.
            part: what this decision is about, where the layer has several.
        """
        own = checked(type(self).__name__, self.decision, ".".join(self.place), options, part)
        return own._replace(path=self.place)
