"""One sentence instead of a stack trace when JAX ends this process because another one is gone.

JAX's runtime then writes a report of its own and aborts, which no Python code can prevent. So a second, small process
passes on what this one writes to standard error, and says a sentence in place of that report.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator

LOST = (
    b"dnas: error: another process of this run is gone, or never came: start all of them again, and continue with "
    b"--resume what had begun\n"
)
_SAID = b"dnas: error: "
_REPORT = re.compile(rb"[EF]\d{4} [\d:.]+ +\d+ (\S*coordination_service\S*\]|\S+\] .*JAX distributed service)")


def watch() -> None:
    """Let a second process pass on this one's standard error from now on; it ends after this one."""
    reader, writer = os.pipe()
    command = [sys.executable, "-I", __file__]
    # A session of its own: Ctrl-C in a terminal must not end it before this process has said its last words.
    subprocess.Popen(command, stdin=reader, stdout=2, start_new_session=True)
    os.dup2(writer, 2)
    os.close(reader)
    os.close(writer)


def passed_on(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what a user gets to see of a process's standard error: all lines up to a report of JAX's, then `LOST`.

    The sentence is left out if the process has named an error itself.
    """
    said = False
    for line in lines:
        if _REPORT.match(line):
            if not said:
                yield LOST
            break
        said = said or line.startswith(_SAID)
        yield line
    # What is left must be read, or writing it would block.
    for _ in lines:
        pass


if __name__ == "__main__":
    for _line in passed_on(iter(sys.stdin.buffer.readline, b"")):
        os.write(1, _line)
