"""The terminal while it is a live view's: one screen, drawn again and again, and single keys.

It is given back however the view ends, and while it is suspended. What ends a process ends it as ever, after that.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

USUAL_SIZE = (80, 24)
ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def is_capable() -> bool:
    """Whether stdout is a terminal that can be drawn on."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


def live(
    look: Callable[[], object], lines: Callable[[int], Sequence[str]], interval: float,
    press: Callable[[str], object] | None = None,
) -> None:  # fmt: skip
    """Show what was looked at, and look again every so many seconds, until q or the end of the keys.

    `lines` makes those for a screen of that height, `press` is given every other key.
    """
    with Screen() as screen, contextlib.suppress(EOFError):
        while True:
            due = time.monotonic() + interval
            keys: str | None = ""
            while keys is not None:
                screen.draw(lines)
                keys = screen.wait(due - time.monotonic())
                for key in keys or "":
                    if key == "q":
                        return
                    if press is not None:
                        press(key)
            look()


class Screen:
    """Use it in a with block. Keys come if stdin is a terminal too."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            console=Console(), screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._stack = contextlib.ExitStack()
        self._has_keys = sys.stdin.isatty()
        self._settings: list[Any] | None = None

    def __enter__(self) -> Self:
        self._woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stack.callback(os.close, self._woken)
        self._stack.callback(os.close, waking)
        self._stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(waking, warn_on_full_buffer=False))
        for number, handler in ((signal.SIGWINCH, _nothing), (signal.SIGTSTP, self._suspend)):
            self._stack.enter_context(_handled(number, handler))
        for number in ENDING:
            self._stack.enter_context(_handled(number, self._end))
        self._take()
        self._stack.callback(self._give_back)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stack.close()

    def draw(self, lines: Callable[[int], Sequence[str]]) -> None:
        """Show the lines for a screen of this height, as much of them as there is room for, and nothing else."""
        from rich.console import ConsoleDimensions
        from rich.text import Text

        # Rich by itself would believe COLUMNS and LINES, which do not follow the terminal.
        columns, height = os.get_terminal_size(sys.stdout.fileno())
        height = height or USUAL_SIZE[1]
        self._live.console.size = ConsoleDimensions(columns or USUAL_SIZE[0], height)
        text = Text("\n".join(lines(height)[:height]), no_wrap=True, overflow="crop")
        self._live.update(text, refresh=True)

    def wait(self, seconds: float) -> str | None:
        """The keys that were pressed; none if the screen is to be drawn anew; None after so many seconds.

        Raises EOFError if there will never be another key.
        """
        sources = [self._woken, *([sys.stdin.fileno()] if self._has_keys else [])]
        ready, _, _ = select.select(sources, [], [], max(seconds, 0.0))
        if not ready:
            return None
        if self._woken in ready:
            os.read(self._woken, 1024)
            return ""
        keys = os.read(sys.stdin.fileno(), 64)
        if not keys:
            raise EOFError
        # Arrows and the like are sequences of characters that mean nothing here.
        return "" if keys.startswith(b"\x1b") else keys.decode(errors="replace")

    def _take(self) -> None:
        if self._has_keys:
            import termios
            import tty

            self._settings = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        self._live.start()

    def _give_back(self) -> None:
        # A terminal that is gone takes nothing back.
        with contextlib.suppress(OSError):
            self._live.stop()
        if self._settings is not None:
            import termios

            with contextlib.suppress(termios.error):
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._settings)

    def _suspend(self, number: int, _frame: FrameType | None) -> None:
        self._give_back()
        with _handled(number, signal.SIG_DFL):
            os.kill(os.getpid(), number)
        self._take()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


@contextlib.contextmanager
def _handled(number: int, handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    """A signal handled so for a while; one that is ignored stays ignored."""
    before = signal.getsignal(number)
    if before is signal.SIG_IGN:
        yield
        return
    signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """That it came is what counts: it ends the wait."""
