"""What a node knows of names: the identities of labels, the addresses of endpoints, the ids of services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cilium_py.cli.context import Settings
from cilium_py.errors import MapMissing, WrongUsage
from cilium_py.schema import MapDef
from cilium_py.schema.text import number, parse_ip, unmapped
from cilium_py.table import Family


class NodeNames:
    """Looks names up in the maps and the state directory when they are asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identities(self, text: str) -> list[int]:
        """Of a number, a reserved name, or a label such as k8s:app=web (every identity that has it)."""
        from cilium_py.node.identity import RESERVED

        if text[:1].isdecimal():
            return [number(text, "an identity", 0xFFFFFFFF)]
        name = text.removeprefix("reserved:")
        if name in RESERVED:
            return [RESERVED[name]]
        found = [each for each, labels in self._labels() if text in labels or text in _without_sources(labels)]
        if not found:
            raise WrongUsage(f"no identity has the label {text!r}", f"a number, a label, or {', '.join(RESERVED)}")
        return found

    def known_identities(self) -> list[str]:
        return sorted({str(each) for each, _ in self._labels()} | {label for _, all in self._labels() for label in all})

    def _labels(self) -> Iterable[tuple[int, tuple[str, ...]]]:
        """Identity -> labels, as far as the state directory has them, of whatever Cilium it is."""
        from cilium_py.explain.known import Known

        return Known(self.settings.pins, self.settings.paths).labels.items()

    def addresses(self, endpoint: int) -> list[bytes]:
        from cilium_py.maps.endpoint import MAP

        found = [row.address for row in self._rows(MAP) if row.endpoint_id == endpoint and row.address is not None]
        if not found:
            raise WrongUsage(f"no endpoint has the id {endpoint}", "bpf endpoint list shows those of this node")
        return [unmapped(address) for address in found]

    def known_endpoints(self) -> list[str]:
        from cilium_py.maps.endpoint import MAP

        return sorted({str(row.endpoint_id) for row in self._rows(MAP) if not row.host})

    def service_ids(self, text: str) -> list[int]:
        from cilium_py.maps.lb_revnat import MAP

        return self._at(text, MAP, "rev_nat", "no service has the frontend", "bpf lb list shows the services")

    def backend_ids(self, text: str) -> list[int]:
        from cilium_py.maps.lb_backends import MAP

        return self._at(text, MAP, "backend_id", "no backend is at", "bpf lb backends list shows them")

    def _at(self, text: str, definition: MapDef[Any], field: str, missing: str, hint: str) -> list[int]:
        address, port = address_and_port(text)
        rows = (row for row in self._rows(definition) if unmapped(row.address) == address)
        found = sorted({getattr(row, field) for row in rows if port is None or row.port == port})
        if not found:
            raise WrongUsage(f"{missing} {text}", hint)
        return found

    def _rows(self, definition: MapDef[Any]) -> Iterator[Any]:
        try:
            yield from Family(definition, self.settings.pins).rows()
        except MapMissing:
            return


def _without_sources(labels: tuple[str, ...]) -> list[str]:
    return [label.partition(":")[2] for label in labels]


def address_and_port(text: str) -> tuple[bytes, int | None]:
    """Of 10.0.0.1, 10.0.0.1:443, fd00::1 or [fd00::1]:443. Raises WrongUsage."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    else:
        address, port = text, ""
    return unmapped(parse_ip(address)), number(port, "a port", 0xFFFF) if port else None
