"""Policy maps as a whole: those of a node, each entry with its statistics, and single entries put in or taken out."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cilium_py.bpf.directory import Pins, pins_of
from cilium_py.errors import LayoutMismatch, MapMissing, WrongUsage
from cilium_py.maps import policystats
from cilium_py.maps.policy import DENY, MAP, PREFIX_SHIFT, STATIC_BITS, Key, Key12, Row
from cilium_py.policy.ports import L4
from cilium_py.schema import Pair, Source, Struct
from cilium_py.table import OpenTable, open_source

STATISTICS = policystats.MAP.sources[0]
MAPS = tuple((source, re.compile(source.pin.format(r"(\d{5}|reserved_\d+)"))) for source in MAP.sources)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PolicyMap:
    """Where the policy of an endpoint is pinned. `scope` is what the pin calls it: 00042, or reserved_1."""

    source: Source[Row]
    scope: str
    directory: Path | Pins

    @property
    def path(self) -> Path:
        return pins_of(self.directory).path(self.source.pin_of(self.scope))

    @property
    def endpoint(self) -> str:
        """The id as people write it."""
        return str(int(self.scope)) if self.scope.isdecimal() else self.scope

    @property
    def endpoint_id(self) -> int:
        """What statistics are kept by: of a reserved identity's map, that identity."""
        return int(self.scope.removeprefix("reserved_"))


def all_maps(directory: Path | Pins) -> list[PolicyMap]:
    """Every policy map of a node, by endpoint."""
    found = []
    for name in names(directory):
        for source, pattern in MAPS:
            if match := pattern.fullmatch(name):
                found.append(PolicyMap(source, match[1], directory))
    return sorted(found, key=lambda each: (each.scope, each.path))


def map_of(directory: Path | Pins, scope: str) -> PolicyMap:
    """The newest policy map of an endpoint. Raises MapMissing."""
    candidates = [PolicyMap(source, scope, directory) for source in MAP.sources]
    there = names(directory)
    for candidate in candidates:
        if candidate.path.name in there:
            return candidate
    # 1.17 and 1.18 are what is most likely meant.
    raise MapMissing(f"{candidates[1].path}: no such map", "no endpoint has that id: bpf policy list shows them all")


def open_map(policy: PolicyMap, *, read_only: bool = True) -> OpenTable[Row]:
    return open_source(policy.source, policy.directory, policy.scope, read_only=read_only)


def names(directory: Path | Pins) -> list[str]:
    try:
        return pins_of(directory).names()
    except (FileNotFoundError, NotADirectoryError):
        return []


def pairs(policy: PolicyMap) -> Iterator[Pair]:
    """Every entry, its row with what was counted of it. Statistics that cannot be read are said to be missing."""
    endpoint, number = policy.endpoint, policy.endpoint_id
    with ExitStack() as stack:
        table = stack.enter_context(open_map(policy))
        statistics = _statistics(policy.directory, stack) if table.layout.value.size < 24 else None
        for key, value, row in table.dump():
            counted = statistics and statistics.get(_statistics_key(number, key))
            more = {"packets": counted.packets, "bytes": counted.bytes} if counted else {}
            yield Pair(key, value, row._replace(endpoint=endpoint, **more))


def _statistics(directory: Path | Pins, stack: ExitStack) -> OpenTable[policystats.Row] | None:
    try:
        return stack.enter_context(open_source(STATISTICS, directory))
    except (MapMissing, LayoutMismatch) as error:
        log.warning("no statistics: %s", error)
        return None


def _statistics_key(endpoint_id: int, key: Key) -> policystats.Key:
    """The key of an entry's statistics: from the identity on, the fields are stored as the entry's own key has them."""
    prefix_length, *rest = key
    fields = (endpoint_id, (prefix_length - STATIC_BITS) & 0xFF, *rest)
    return tuple.__new__(policystats.Key, fields)


def put(table: OpenTable[Row], egress: bool, identity: int, l4: L4, *, deny: bool) -> None:
    """Allow or deny an identity."""
    names = {member.name for member in table.layout.value.members}
    fields: dict[str, Any] = {"flags": int(deny) * DENY}
    if "auth" in names:
        fields["flags"] = int(deny) * DENY | l4.bits << PREFIX_SHIFT
    if deny and "precedence" in names:
        fields["precedence"] = 0xFFFFFFFF
    table.put(key_of(table, egress, identity, l4), table.layout.value(**fields))


def take_out(table: OpenTable[Row], egress: bool, identity: int, l4: L4) -> bool:
    """Delete an entry; False if there was none."""
    return table.map.delete(key_of(table, egress, identity, l4).pack())


def key_of(table: OpenTable[Row], egress: bool, identity: int, l4: L4) -> Struct:
    key = table.layout.key
    fields: dict[str, Any] = {
        "sec_label": identity, "egress": int(egress), "protocol": l4.protocol, "dport": l4.port,
    }  # fmt: skip
    if key is Key12:
        if l4.bits not in (0, 24):
            raise WrongUsage(f"{l4}: the map of this release takes no ranges and no protocol alone")
        return key(**fields)
    return key(prefixlen=STATIC_BITS + l4.bits, **fields)
