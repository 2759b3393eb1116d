"""Selecting from a million connections, beside the plain list in the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bench.fill import TABLES, fill, private_bpffs
from tests.bench.measure import Cost, process, table
from tests.bench.tables import READ, RUNS, TOOL

TITLE = "Selecting"

# What the issue tracker has for a million entries: seconds of `cilium-dbg bpf ct list global | grep`.
CILIUM_DBG_AND_GREP = 11.9

CONDITIONS = (
    ("a network", "--src 10.0.1.0/24"),
    ("either address", "--addr 10.0.0.0/18"),
    ("either port", "--port 12373"),
    ("a protocol", "--proto udp"),
    ("a flag", "--flag RxClosing"),
    ("an identity", "--identity 10500"),
    ("idle", "--idle 1h"),
    ("expiring", "--expires-within 1h"),
    ("and, or, not", "--where 'source in 10.0.1.0/24 and not (destination_port in (80, 443) or related)'"),
    ("a state", "--state closing"),
    ("two fields of each row compared", "--where 'packets > bytes'"),
)


def least(command: list[str]) -> Cost:
    """The least of each figure over some runs: what else the machine does can only add to it."""
    costs = [process(command) for _ in range(RUNS)]
    return Cost(*(min(column) for column in zip(*costs, strict=True)))


def run() -> str:
    with private_bpffs() as root:
        fill(root, TABLES["ct"])
        node = [*TOOL, "--bpf-root", str(root)]
        one = connection(node)
        source, sport, destination = one["source"], one["source_port"], one["destination"]
        start = least([*TOOL, "version"])
        rows: list[tuple[object, ...]] = [
            row("reading the map alone", least([sys.executable, "-c", READ, pinned(root)])),
        ]
        for title, command in (
            ("the plain list", "list"),
            ("the plain list, through grep", f"list | grep '{source}:{sport} '"),
            ("each connection with all that is known of it", "list -o wide"),
            ("of those, one address and port", f"list -o wide --src {source} --sport {sport}"),
            ("one address and port of a million", f"list --src {source} --sport {sport}"),
            ("a network and two ports", "list --src 10.0.1.0/24 --dport 443,8443"),
            ("by time and size", "list --where 'bytes > 2900k and idle > 1h'"),
            ("half of the table", "list --not --flag RxClosing"),
            ("two columns of all", "list --columns source,bytes"),
            ("the ten largest", "list --sort bytes:desc --limit 10"),
            *((f"how many: {title}", f"count {options}") for title, options in CONDITIONS),
            ("counts by protocol, direction, state", "list --stats"),
            ("groups by source", "top --by source --rounds 1"),
            ("groups by source, looked at four times", "top --by source --rounds 4 --interval 50ms"),
            ("what changes, looked at four times", "watch --rounds 3 --interval 50ms"),
            ("what deleting would take", "delete --where 'packets > 1900 and not related' --dry-run"),
        ):
            words = f"{' '.join(node)} ct {command}"
            rows.append(row(f"{title}: `ct {command}`", least(["bash", "-o", "pipefail", "-c", words])))
        got = least([*node, "ct", "get", f"{source}:{sport}", f"{destination}:443"])
        rows += [row("one exact key: `ct get`", got), row("start-up: `version`", start)]
        delete = [*node, "ct", "delete", "--where", "packets > 1900 and not related", "--yes"]
        rows.append(row("deleted: `ct delete --where 'packets > 1900 and not related'`", process(delete)))
    titles = ("of 1,000,000 connections", "wall s", "CPU s", "peak MB", "CPU, against cilium-dbg and grep")
    reference = f"For comparison, `cilium-dbg bpf ct list global | grep` takes {CILIUM_DBG_AND_GREP} s."
    return f"{table(titles, rows)}\n\n{reference}"


def row(title: str, cost: Cost) -> tuple[object, ...]:
    return title.replace("|", "\\|"), cost.wall, cost.cpu, round(cost.memory), cost.cpu / CILIUM_DBG_AND_GREP


def pinned(root: Path) -> str:
    return str(root / "tc/globals" / TABLES["ct"].pin)


def connection(node: list[str]) -> dict[str, str]:
    """Some connection of the table."""
    words = [*node, "ct", "list", "--limit", "1", "-o", "jsonl"]
    found: dict[str, str] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return found
