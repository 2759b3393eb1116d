"""What the programs cost: to verify, to load, and for one packet of an established connection."""

from __future__ import annotations

import re
import statistics
import struct
import time
from typing import NamedTuple

from cilium_py.bpf.object import BpfObject
from cilium_py.endpoint import store
from cilium_py.lab import Lab, command
from cilium_py.loader.template import prebuilt_object
from cilium_py.node.config import NodeConfig
from tests.bench import measure
from tests.bench.pods import attached, small_lab

TITLE = "The endpoint programs"
LOADS, PACKETS = 5, 5000
SYN, ACK = 0x02, 0x10


def run() -> str:
    measure.private_run()
    with small_lab() as lab:
        seconds = [load(lab).seconds for _ in range(LOADS)]
        programs = load(lab, statistics=True).programs
        best, middle = packet(lab)
    programs.sort(key=lambda program: -program[1])
    instructions = sum(program[1] for program in programs)
    return "\n\n".join([
        f"`bpf_lxc.o` with one endpoint's settings: {instructions:,} verified instructions in "
        f"{len(programs)} programs, loaded in {statistics.median(seconds) * 1e3:.0f} ms (median of {LOADS}).",
        measure.table(["program", "verified instructions", "verified in, ms"], programs),
        "A TCP segment of an established connection from pod to pod, through `cil_from_container`, its tail calls and "
        f"the receiver's policy program, one test run a packet: {best} ns at best, {middle:.0f} ns in the middle of "
        f"{PACKETS:,}.",
    ])  # fmt: skip


class Loaded(NamedTuple):
    seconds: float
    programs: list[tuple[str, int, float]]
    """Name, verified instructions, milliseconds to verify if the verifier was asked."""


def load(lab: Lab, *, statistics: bool = False) -> Loaded:
    """Load the object with an endpoint's settings over the maps of the lab's node."""
    paths = lab.paths("node1")
    settings = {**NodeConfig.load(paths).settings(), **store.load(paths, 1).settings()}
    with BpfObject.open(prebuilt_object(), pin_root=paths.globals) as opened:
        for name, value in settings.items():
            opened.rodata[name] = value
        if statistics:
            for program in opened.programs.values():
                program.keep_statistics()
        start = time.perf_counter()
        opened.load()
        seconds = time.perf_counter() - start
        return Loaded(seconds, [
            (f"`{name}`", program.info.verified_instructions, verified_in(program.statistics))
            for name, program in opened.programs.items()
        ])  # fmt: skip


def verified_in(said: str) -> float:
    """Milliseconds, of the verifier's statistics."""
    found = re.search(r"verification time (\d+) usec", said)
    return int(found[1]) / 1e3 if found else 0.0


def packet(lab: Lab) -> tuple[int, float]:
    """(best, median) ns of one packet."""
    paths = lab.paths("node1")
    client, server = (store.load(paths, lab.pod(name).endpoint) for name in ("pod1", "pod2"))
    assert client.ipv4 is not None
    assert server.ipv4 is not None
    ends = (client.ipv4.packed, server.ipv4.packed)

    def frame(flags: int) -> bytes:
        ethernet = client.interface_mac[:6] + client.pod_mac[:6] + b"\x08\x00"
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 1, 0, 64, 6, 0, *ends)
        return ethernet + ip + struct.pack("!HHIIBBHHH", 40000, 80, 1, 1, 0x50, flags, 512, 0, 0)

    # struct __sk_buff: ingress_ifindex and ifindex are its 10th and 11th word.
    context = struct.pack("<192x")
    context = context[:36] + struct.pack("<II", client.interface_index, client.interface_index) + context[44:]
    with command.namespace(lab, "node1").entered(), attached(lab, "pod1", "cil_from_container") as program:
        program.test_run(frame(SYN), context)
        runs = sorted(program.test_run(frame(ACK), context).duration_ns for _ in range(PACKETS))
    return runs[0], statistics.median(runs)
