"""What a person sees while a benchmark works: what is being done, how far it is, and about how long it will take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dnas.run.console import Screen, duration


class Progress:
    """Counts stages of work that take about the same time.

    Args:
        screen: where it is shown.
        stages: how many there are.
        clock: the present time in seconds.
    """

    def __init__(self, screen: Screen, stages: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.screen, self.stages, self.clock = screen, stages, clock
        self.done, self.begin = 0, clock()

    @contextmanager
    def stage(self, text: str) -> Iterator[None]:
        """Show that the next stage is `text` for as long as it takes."""
        line = f"[{self.done + 1}/{self.stages}] {text}{self.left()}"
        if self.screen.console.is_terminal:
            with self.screen.console.status(line):
                yield
        else:
            self.screen.say(line)
            yield
        self.done += 1

    def left(self) -> str:
        """Return the time that the stages left will take if they take as long as those before."""
        if not self.done:
            return ""
        return f" (about {duration((self.clock() - self.begin) / self.done * (self.stages - self.done))} left)"
