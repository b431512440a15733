"""What a person sees while a run works: a live bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn

_SECONDS_BETWEEN_LINES = 5.0


def duration(seconds: float) -> str:
    """Return a time span as a person says it, such as `1 min 23 s`."""
    if 0 < seconds < 0.95:
        return f"{max(seconds, 0.1):.1f} s"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Screen:
    """Messages and progress on standard output."""

    def __init__(self, console: Console | None = None) -> None:
        # A file has no width of its own, and tables of 80 letters break their words.
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
        self.console = console or Console(highlight=False, soft_wrap=True, width=width)
        self._progress: Progress | None = None

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.console.print(f"warning: {text}", style="yellow", markup=False)

    def table(self, table: RenderableType) -> None:
        """Print a table, or several."""
        self.console.print(table)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Say what is being done for as long as it takes, then how long it took."""
        started = time.perf_counter()
        if self.console.is_terminal:
            with self.console.status(text):
                yield
        else:
            self.say(f"{text} ...")
            yield
        self.say(f"{text}: {duration(time.perf_counter() - started)}")

    def counting(self, title: str) -> Callable[[str, int, int], None]:
        """Return `(what, done, total) -> None`, which says now and then how far something is, and how long it takes."""
        started = last = time.perf_counter()

        def told(what: str, done: int, total: int) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last > _SECONDS_BETWEEN_LINES:
                last = now
                left = (now - started) / done * (total - done)
                self.say(f"{title}: {what} {done}/{total}  {duration(left)} left")

        return told

    @contextmanager
    def bar(self, title: str, epochs: int, per_epoch: int, done: int) -> Iterator["Bar"]:
        """Show progress over `epochs * per_epoch` steps, of which `done` are behind."""
        bar = Bar(self, title, epochs, per_epoch, done)
        if not self.console.is_terminal:
            yield bar
            return
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[note]}"))
        with Progress(*columns, console=self.console) as progress:
            bar.task = progress.add_task(title, total=epochs * per_epoch, completed=done, note="")
            bar.progress = progress
            yield bar


class Bar:
    """Progress of one phase."""

    def __init__(self, screen: Screen, title: str, epochs: int, per_epoch: int, done: int) -> None:
        self.screen, self.title, self.epochs, self.per_epoch = screen, title, epochs, per_epoch
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self._start, self._first, self._last_line = time.perf_counter(), done, 0.0

    def update(self, step: int, numbers: Mapping[str, float]) -> None:
        """Show that `step` steps are done, with numbers of the epoch so far."""
        now = time.perf_counter()
        total = self.epochs * self.per_epoch
        left = (now - self._start) / max(1, step - self._first) * (total - step)
        epoch = min(self.epochs, -(-step // self.per_epoch))
        shown = "  ".join(f"{name} {_number(name, value)}" for name, value in numbers.items())
        note = f"epoch {epoch}/{self.epochs}  {shown}  {duration(left)} left"
        if self.progress is not None and self.task is not None:
            self.progress.update(self.task, completed=step, note=note)
        elif now - self._last_line > _SECONDS_BETWEEN_LINES or step == total:
            self._last_line = now
            self.screen.say(f"{self.title}: {note}")


def _number(name: str, value: float) -> str:
    if name.endswith("accuracy"):
        return f"{100 * value:.1f}%"
    return f"{value:.0f}" if name.endswith("/s") or abs(value) >= 100 else f"{value:.3f}"
