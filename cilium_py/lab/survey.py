"""What a running lab consists of, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .command import namespace
from .network import Site
from .registry import Lab
from .teardown import processes


class Part(NamedTuple):
    """A node or a pod."""

    name: str
    kind: str
    """node or pod."""
    node: str
    endpoint: int | None
    ipv4: str
    ipv6: str
    netns: str
    processes: int
    """How many run in its namespace."""


def parts(lab: Lab) -> Iterator[Part]:
    """Every node with its pods."""
    for number, name in enumerate(lab.node_names, 1):
        site = Site(number)
        own4 = str(site.ipv4.address) if lab.ipv4 else ""
        own6 = str(site.ipv6.address) if lab.ipv6 else ""
        yield Part(name, "node", name, None, own4, own6, lab.netns(name), _count(lab, name))
        for pod in lab.pods_of(name):
            yield Part(
                pod.name, "pod", name, pod.endpoint, pod.ipv4, pod.ipv6, lab.netns(pod.name), _count(lab, pod.name)
            )


def _count(lab: Lab, where: str) -> int:
    found = namespace(lab, where)
    return sum(1 for _ in processes([found])) if found.exists() else 0
