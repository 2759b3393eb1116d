"""A node's programs, attachments and pins at one moment, as plain data that can be saved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple


class ProgramFacts(NamedTuple):
    """A loaded program."""

    id: int
    name: str
    """In full where its BTF has it, else the kernel's fifteen letters."""
    type: str
    tag: str
    map_ids: list[int]
    run_time_ns: int
    run_cnt: int


class Attachment(NamedTuple):
    """A program at a hook."""

    device: str
    """The name of the interface; of a cgroup, its path."""
    ifindex: int
    hook: str
    """ingress, egress, xdp, or the name of a cgroup's hook."""
    how: str
    """tcx, tc, xdp or cgroup."""
    program_id: int
    link_id: int
    """0 for one that is attached without a link."""
    name: str = ""
    """What tc calls it; empty elsewhere."""


class LinkPin(NamedTuple):
    """A link pinned below the node's directory. An interface that is gone leaves ifindex 0."""

    path: str
    link_id: int
    program_id: int
    ifindex: int
    kind: str


class MapPin(NamedTuple):
    """A pinned map: its id, and the fifteen letters that the kernel knows it by."""

    pin: str
    id: int
    name: str
    type: str
    program_ids: list[int]
    """Of a program array, the programs in it."""


class EndpointFacts(NamedTuple):
    """A local endpoint, as the endpoint map has it."""

    id: int
    ifindex: int
    identity: int


class DeviceFacts(NamedTuple):
    """A network interface."""

    name: str
    ifindex: int


class MapFacts(NamedTuple):
    """A map that some program uses, pinned or not."""

    id: int
    name: str
    type: str
    program_ids: list[int]


class Survey(NamedTuple):
    """All of that."""

    programs: list[ProgramFacts]
    maps: list[MapFacts]
    attachments: list[Attachment]
    links: list[LinkPin]
    pins: list[MapPin]
    endpoints: list[EndpointFacts]
    devices: list[DeviceFacts]
    unseen: list[str]
    """What could not be looked at, and why."""

    def program(self, program_id: int) -> ProgramFacts | None:
        return next((program for program in self.programs if program.id == program_id), None)

    def users_of(self, map_id: int) -> Iterator[ProgramFacts]:
        return (program for program in self.programs if map_id in program.map_ids)
