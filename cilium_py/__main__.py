"""The program: `cilium-py`, and `python -m cilium_py`."""

import gc
import os
import signal
import sys

FEW_COLLECTIONS = 100_000
"""Imports make many objects and no garbage; with Python's own threshold of 700, looking for it takes 5 % of a start."""


def main() -> None:
    """Run the command line. Ctrl-C while modules are still being imported just ends the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.set_threshold(FEW_COLLECTIONS)
    from cilium_py.cli import main as program

    try:
        program.main()
    except SystemExit as end:
        _leave(end)


def _leave(end: SystemExit) -> None:
    """End the process at once: to take the interpreter apart can take longer than the command did.

    Whoever traces or profiles it has work of its own to do at the end.
    """
    if not isinstance(end.code, int) or sys.gettrace() or sys.getprofile():
        raise end
    from cilium_py.cli.streams import flush

    flush(sys.stdout)
    flush(sys.stderr)
    os._exit(end.code)


if __name__ == "__main__":
    main()
