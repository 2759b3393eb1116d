"""Large tables: what a list costs, beside reading the map and nothing else, and beside the path through Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
TOOL = (str(Path(sys.executable).parent / "cilium-py"),)
LIMIT_MB = 50
OURS, THEIRS, DUMPS = ("text", "table", "json", "jsonl", "yaml", "csv"), ("text", "json", "yaml"), ("json", "yaml")
MOST = 200_000
"""Entries with which every form is measured: more change nothing, and some forms are slow."""


class List(NamedTuple):
    """A command that lists a table of the plan, joined perhaps with others."""

    name: str
    words: str
    formats: tuple[str, ...] = ("text", "json")
    beside: tuple[str, ...] = ()
    sort: str = "bytes"
    """A field that the list is not sorted by anyway."""
    compat: str = ""
    """What cilium-dbg calls the list; without it, not every form is measured."""
    by_kernel: bool = True
    """Whether the kernel formats it, so that the path through Python is another."""
    dumps: bool = False
    """Whether it formats cilium-dbg's JSON and YAML too."""


LISTS = (
    List("ct", "bpf ct list", FORMATS, compat="bpf ct list global", dumps=True),
    List("ct, IPv6", "bpf ct list"),
    List("nat", "bpf nat list", sort="to_port", compat="bpf nat list", dumps=True),
    List("ipcache", "bpf ipcache list", sort="identity", compat="bpf ipcache list"),
    List(
        "policy",
        "bpf policy get 42",
        ("text", "json"),
        ("policy statistics",),
        "bytes",
        "bpf policy get 42",
        by_kernel=False,
    ),
    List("lb services", "bpf lb list", ("text", "json"), ("lb backends",), "backend", "bpf lb list", by_kernel=False),
    List(
        "lb services", "bpf lb list --frontends", sort="backend_id", compat="bpf lb list --frontends", by_kernel=False
    ),
    List("lb backends", "bpf lb list --backends", sort="port", compat="bpf lb list --backends"),
    List("lb revnat", "bpf lb list --revnat", sort="port", compat="bpf lb list --revnat"),
    List("lb source ranges", "bpf lb list --source-ranges", sort="rev_nat", compat="bpf lb list --source-ranges"),
    List("metrics", "bpf metrics list", compat="bpf metrics list", by_kernel=False),
)


def best(command: list[str]) -> Cost:
    """The least CPU time of some runs: what else the machine does can only add to it."""
    return min((process(command) for _ in range(RUNS)), key=lambda cost: cost.cpu)


def run() -> str:
    return "\n\n".join(
        [lists(LISTS), memory(tuple(each for each in LISTS if each.compat)), flushes(), small(), reference()]
    )


@contextmanager
def filled(each: List, most: int | None = None) -> Iterator[Path]:
    """A bpf file system with the tables of a list, each of so many entries at most."""
    with private_bpffs() as root:
        for plan in (TABLES[name] for name in (each.name, *each.beside)):
            fill(root, plan._replace(count=min(plan.count, most or plan.count)))
        yield root


def lists(chosen: tuple[List, ...]) -> str:
    rows: list[tuple[object, ...]] = []
    for each in chosen:
        with filled(each) as root:
            rows += measured(each, root)
    titles = ("list", "entries", "", "CPU s", "ns an entry", "peak MB", "against reading", "by Python alone, CPU s")
    return table(titles, rows)


def measured(each: List, root: Path) -> list[tuple[object, ...]]:
    plan = TABLES[each.name]
    start = best([*TOOL, "version"]).cpu
    read = best([sys.executable, "-c", READ, str(root / "tc/globals" / plan.pin)])
    rows: list[tuple[object, ...]] = [
        (f"{each.name}: `{each.words}`", plan.count, "reading", *figures(read, plan.count, 0.0), 1.0, "")
    ]
    chosen = [(f"`-o {form}`", each.by_kernel, [*each.words.split(), "-o", form]) for form in each.formats]
    if each.compat:
        chosen += [
            (f"`--compat -o {form}`", each.dumps, ["--compat", *each.compat.split(), "-o", form]) for form in DUMPS
        ]
    for said, by_kernel, command in chosen:
        words = ["--bpf-root", str(root), *command]
        cost = best([*TOOL, *words])
        slow = process([sys.executable, "-c", BY_PYTHON, *words]).cpu if by_kernel else ""
        rows.append(("", "", said, *figures(cost, plan.count, start), cost.cpu / read.cpu, slow))
    return rows


def memory(chosen: tuple[List, ...]) -> str:
    """Peak memory of every form of every list, one run of each."""
    rows = []
    for each in chosen:
        with filled(each, MOST) as root:
            peaks = [process(command).memory for command in forms(each, root)]
        count = min(TABLES[each.name].count, MOST)
        rows.append((f"`{each.words}`", count, *(f"{peak:.0f}" for peak in peaks)))
    titles = ("peak MB", "entries", *OURS, "`--sort`", *(f"`--compat` {form}" for form in THEIRS))
    return f"Peak memory of every form; it is to stay below {LIMIT_MB} MB at any size:\n\n{table(titles, rows)}"


def forms(each: List, root: Path) -> Iterator[list[str]]:
    """The commands that write a list: in our formats, in another order, and as cilium-dbg does."""
    node, words = [*TOOL, "--bpf-root", str(root)], each.words.split()
    yield from ([*node, *words, "-o", form] for form in OURS)
    yield [*node, *words, "--sort", f"{each.sort}:desc"]
    yield from ([*node, "--compat", *each.compat.split(), "-o", form] for form in THEIRS)


def flushes() -> str:
    """Each run needs a table of its own."""
    rows = []
    for name, words in (("ct", "bpf ct flush"), ("nat", "bpf nat flush")):
        costs = []
        for _ in range(RUNS):
            with private_bpffs() as root:
                fill(root, TABLES[name])
                costs.append(process([*TOOL, "--bpf-root", str(root), *words.split(), "--yes"]))
        cost = min(costs, key=lambda cost: cost.cpu)
        rows.append((f"`{words}`", TABLES[name].count, cost.cpu, round(cost.cpu / TABLES[name].count * 1e9)))
    return table(("flush", "entries", "CPU s", "ns an entry"), rows)


def small() -> str:
    """What nobody should have to wait for."""
    plan = TABLES["ct"]._replace(count=100)
    nothing = best([*TOOL, "version"])
    rows: list[tuple[object, ...]] = [("`version`", nothing.wall * 1e3, nothing.cpu * 1e3)]
    with private_bpffs() as root:
        fill(root, plan)
        fill(root, TABLES["ipcache"])
        for words in ("bpf ct list", "bpf ct list -o json", "bpf ipcache match 10.0.0.7/32"):
            cost = best([*TOOL, "--bpf-root", str(root), *words.split()])
            rows.append((f"`{words}`", cost.wall * 1e3, cost.cpu * 1e3))
    return "100 connections, and one key of the ipcache's 500,000:\n\n" + table(("", "wall ms", "CPU ms"), rows)


def figures(cost: Cost, count: int, start: float) -> tuple[object, ...]:
    """CPU seconds, nanoseconds an entry without the start of the command, megabytes."""
    return cost.cpu, round((cost.cpu - start) / count * 1e9), round(cost.memory)


def reference() -> str:
    said = "; ".join(f"{form}: {cpu} s CPU, {memory:,} MB" for form, (cpu, memory) in CILIUM_DBG.items() if memory)
    return f"For comparison, cilium-dbg 1.18 with the million IPv4 connections on a machine of this kind: {said}."
