"""What a list holds in memory does not grow with the table: whole commands on real maps, in every kind of order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.fill import TABLES, fill
from tests.bench.measure import process
from tests.bench.tables import LIMIT_MB, TOOL

POLICY, SERVICES = ("policy", "policy statistics"), ("lb services", "lb backends")


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (POLICY, "bpf policy get 42"),
        (POLICY, "bpf policy list -o table"),
        (POLICY, "bpf policy get 42 --sort bytes:desc -o json"),
        (POLICY, "--compat bpf policy list -o json"),
        (POLICY, "--compat bpf policy list -o yaml"),
        (SERVICES, "bpf lb list"),
        (SERVICES, "bpf lb list --frontends -o yaml"),
        (SERVICES, "bpf lb list --backends --sort port"),
        (SERVICES, "--compat bpf lb list -o json"),
        (("metrics",), "bpf metrics list"),
        (("ct, IPv6",), "bpf ct list -o wide"),
        (("ct, IPv6",), "bpf ct list -o jsonpath={[*].source}"),
        (POLICY, "bpf policy get 42 -o jsonpath={[*]['identity','port']}"),
        (POLICY, "bpf policy get 42 -o jsonpath={[?(@.identity>300)].flags}{..identity}{[-1]}"),
        (SERVICES, "--compat bpf lb list -o jsonpath={.*[0]}"),
        (("metrics",), "--compat bpf metrics list -o jsonpath={..reason}"),
    ],
)
def test_a_large_list_takes_little_memory(maps: tuple[str, ...], words: str, bpffs: Path) -> None:
    (bpffs / "tc/globals").mkdir(parents=True)
    for name in maps:
        fill(bpffs, TABLES[name])
    assert process([*TOOL, "--bpf-root", str(bpffs), *words.split()]).memory < LIMIT_MB
