"""The ways to say which endpoint is meant: its id, its container, its pod, an address of it, its labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from cilium_py.errors import EndpointMissing, WrongUsage
from cilium_py.node import labels as label_words
from cilium_py.paths import NodePaths

from . import store
from .model import Endpoint

HINT = "an id, or as container-name:web, container-id:0f3a, pod-name:default:web, ipv4:10.244.1.7, ipv6:fd10::7"


def find(paths: NodePaths, text: str) -> int:
    """The id of the endpoint that is meant. Raises EndpointMissing, and WrongUsage for what names none or many."""
    kind, separator, name = text.partition(":")
    if not separator or kind == "cilium-local":
        return number(name or kind)
    means = _means(kind, name)
    if means is None or not name:
        raise WrongUsage(f"{text!r}: does not say which endpoint", hint=HINT)
    found = [endpoint.id for endpoint in store.all(paths) if means(endpoint)]
    if not found:
        raise EndpointMissing(f"{text}: no such endpoint", hint="`cilium-py endpoint list` shows them")
    if len(found) > 1:
        raise WrongUsage(f"{text}: endpoints {', '.join(map(str, found))} are meant", hint="name one by its id")
    return found[0]


def having(paths: NodePaths, labels: Iterable[str]) -> list[Endpoint]:
    """The endpoints that have all of these labels. Raises EndpointMissing if there is none."""
    wanted = set(map(label_words.parse, labels))
    found = [endpoint for endpoint in store.all(paths) if wanted <= set(endpoint.labels)]
    if not found:
        raise EndpointMissing(
            f"no endpoint has {' and '.join(sorted(wanted))}", hint="`cilium-py endpoint list` shows their labels"
        )
    return found


def number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 1 << 16:
        raise WrongUsage(f"{text!r}: not the id of an endpoint", hint=HINT)
    return int(text)


def _means(kind: str, name: str) -> Callable[[Endpoint], bool] | None:
    match kind:
        case "container-id":
            return lambda endpoint: endpoint.container_id.startswith(name) and bool(endpoint.container_id)
        case "container-name":
            return lambda endpoint: endpoint.name == name
        case "pod-name" | "cep-name":
            # Namespaces of pods are not known here; the last part is the workload's name.
            return lambda endpoint: endpoint.name == name.rpartition(":")[2].rpartition("/")[2]
        case "ipv4" | "ipv6":
            return lambda endpoint: name.lower() in map(str, endpoint.addresses)
    return None
