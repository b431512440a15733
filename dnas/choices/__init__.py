"""Models with open choices: layers for a user's own network, and the search space that it becomes."""

from dnas.choices.choice import Choice
from dnas.choices.conv import Conv
from dnas.choices.dense import Dense
from dnas.choices.input_choice import InputChoice
from dnas.choices.repeat import Repeat
from dnas.choices.space import space
from dnas.choices.verify import verify

__all__ = ["Choice", "Conv", "Dense", "InputChoice", "Repeat", "space", "verify"]
