"""Large tables: what a list costs, beside reading the map and nothing else, and beside the path through Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from tests.bench.fill import TABLES, fill, private_bpffs
from tests.bench.measure import Cost, process, table

TITLE = "Large tables"

# What the issue tracker's table of cilium-dbg 1.18 has for a million IPv4 connections: CPU seconds, peak MB.
CILIUM_DBG = {"text": (12.5, 917), "json": (16.2, 2757), "flush": (3.18, 0)}

READ = """
import sys
from pathlib import Path
from cilium_py.bpf.map import BpfMap
with BpfMap.open(Path(sys.argv[1])) as opened:
    sum(batch.count for batch in opened.batches())
"""
BY_PYTHON = """
from cilium_py import bulk
bulk.LARGE = float("inf")
from cilium_py.cli.main import main
main()
"""
FORMATS = ("text", "json", "jsonl", "csv")
RUNS = 3


class List(NamedTuple):
    """A table of the plan and the command that lists it."""

    name: str
    words: str
    formats: tuple[str, ...] = ("text", "json")


LISTS = (
    List("ct", "bpf ct list", FORMATS),
    List("ct, IPv6", "bpf ct list"),
    List("nat", "bpf nat list"),
    List("ipcache", "bpf ipcache list"),
    List("policy", "bpf policy get 42"),
    List("lb backends", "bpf lb backends list"),
    List("lb services", "bpf lb services list"),
)


def best(command: list[str]) -> Cost:
    """The least CPU time of some runs: what else the machine does can only add to it."""
    return min((process(command) for _ in range(RUNS)), key=lambda cost: cost.cpu)


def run() -> str:
    return f"{lists(LISTS)}\n\n{reference()}"


def lists(chosen: tuple[List, ...]) -> str:
    rows: list[tuple[object, ...]] = []
    for each in chosen:
        with private_bpffs() as root:
            fill(root, TABLES[each.name])
            rows += measured(each, root)
    titles = ("table", "entries", "", "CPU s", "ns an entry", "peak MB", "against reading", "by Python alone, CPU s")
    return table(titles, rows)


def measured(each: List, root: Path) -> list[tuple[object, ...]]:
    plan = TABLES[each.name]
    start = best([sys.executable, "-m", "cilium_py", "version"]).cpu
    read = best([sys.executable, "-c", READ, str(root / "tc/globals" / plan.pin)])
    rows: list[tuple[object, ...]] = [(each.name, plan.count, "reading", *figures(read, plan.count, 0.0), 1.0, "")]
    for form in each.formats:
        words = ["--bpf-root", str(root), *each.words.split(), "-o", form]
        cost = best([sys.executable, "-m", "cilium_py", *words])
        slow = best([sys.executable, "-c", BY_PYTHON, *words]).cpu
        rows.append(("", "", f"`-o {form}`", *figures(cost, plan.count, start), cost.cpu / read.cpu, slow))
    return rows


def figures(cost: Cost, count: int, start: float) -> tuple[object, ...]:
    """CPU seconds, nanoseconds an entry without the start of the command, megabytes."""
    return cost.cpu, round((cost.cpu - start) / count * 1e9), round(cost.memory)


def reference() -> str:
    said = "; ".join(f"{form}: {cpu} s CPU, {memory:,} MB" for form, (cpu, memory) in CILIUM_DBG.items() if memory)
    return f"For comparison, cilium-dbg 1.18 with the million IPv4 connections on a machine of this kind: {said}."
