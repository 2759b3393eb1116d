"""The kernel's verifier said no: the whole log kept, its last useful lines shown."""

from __future__ import annotations

import errno

from cilium_py.libbpf.checkers import reason

SHOWN_LINES = 4
_STATISTICS = (
    "processed ",
    "verification time",
    "stack depth",
    "insns stack depth",
    "-- END",
    "func#",
    "max_states",
)


class VerifierError(OSError):
    """A program was refused. `log` is all that the verifier said, `program` the name of the refused one."""

    def __init__(self, code: int, program: str, log: str) -> None:
        super().__init__(code, summary(code, program, log))
        self.program = program
        self.log = log

    def __reduce__(self) -> tuple[type[VerifierError], tuple[int, str, str]]:
        return type(self), (self.errno or errno.EACCES, self.program, self.log)


def summary(code: int, program: str, log: str) -> str:
    """Say which program, why, the last lines that tell, and how many others the log has."""
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(_STATISTICS)][-SHOWN_LINES:]
    text = f"load {program}: {reason(code)}: " + " | ".join(line.strip() for line in useful)
    omitted = len(lines) - len(useful)
    return f"{text} ({omitted} lines omitted)" if omitted else text
