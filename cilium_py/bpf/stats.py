"""Run-time statistics of programs, kept by the kernel while somebody asks for them."""

from __future__ import annotations

from typing import NamedTuple

from cilium_py.bpf.handle import Handle
from cilium_py.bpf.program import Program
from cilium_py.libbpf import library
from cilium_py.libbpf.constants import BPF_STATS_RUN_TIME


class RunTime(NamedTuple):
    """Nanoseconds spent and runs made, since the program was loaded or between two readings."""

    ns: int
    runs: int

    def __sub__(self, earlier: RunTime) -> RunTime:
        return RunTime(self.ns - earlier.ns, self.runs - earlier.runs)

    @property
    def ns_per_run(self) -> float:
        return self.ns / self.runs if self.runs else 0.0


def enable_stats() -> Handle:
    """Have the kernel count run time and runs of every program until the handle is closed. In Linux since 5.8."""
    return Handle(library().bpf_enable_stats(BPF_STATS_RUN_TIME))


def run_time(program: Program) -> RunTime:
    info = program.info
    return RunTime(info.run_time_ns, info.run_cnt)
