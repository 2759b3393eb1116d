"""A terminal as people have it, in which commands are typed and seen."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path


class Terminal:
    """A shell in a terminal of tmux."""

    def __init__(self, directory: Path, columns: int, lines: int, term: str = "") -> None:
        self._socket = str(directory / "tmux")
        shell = ["env", "PS1=ready> ", *([f"TERM={term}"] if term else []), "sh"]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines), *shell)

    def tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self._socket, *words], check=True, capture_output=True, text=True)
        return done.stdout

    def type(self, *words: str) -> None:
        self.tmux("send-keys", " ".join(words) + "; echo ended $?", "Enter")

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def shows(self, *texts: str, patience: float = 15) -> str:
        """The screen once it shows these, on which nothing is a traceback."""
        end = time.monotonic() + patience
        while not all(text in (screen := self.tmux("capture-pane", "-p")) for text in texts):
            assert time.monotonic() < end, screen
            time.sleep(0.05)
        assert "Traceback" not in screen
        return screen

    @property
    def is_given_back(self) -> bool:
        """Whether it shows a cursor and is not on its other screen."""
        return self.tmux("display-message", "-p", "#{cursor_flag} #{alternate_on}").split() == ["1", "0"]
