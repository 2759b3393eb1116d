"""The program: `cilium-py`, and `python -m cilium_py`."""

import signal


def main() -> None:
    """Run the command line. Ctrl-C while modules are still being imported just ends the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cilium_py.cli import main as program

    program.main()


if __name__ == "__main__":
    main()
