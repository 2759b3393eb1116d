"""The programs of one endpoint: loaded, put in the place of the ones that run, pinned."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cilium_py.bpf.map import BpfMap
from cilium_py.bpf.object import BpfObject
from cilium_py.paths import NodePaths

from . import attach
from .attach import Hook
from .grace import GracePeriod
from .header import Settings
from .pins import CALLS_MAP, FROM_CONTAINER, POLICY_MAP, POLICY_PROGRAMS, TO_CONTAINER, calls_pin, policy_pin


def nothing() -> None:
    """Let the kernel verify and do nothing else."""


@dataclass
class EndpointPrograms:
    """A loaded object, not yet in the way of any packet. Close it, or use it in a with block."""

    paths: NodePaths
    endpoint_id: int
    object: BpfObject
    new_policy_map: bool = False
    _grace: GracePeriod | None = None

    @classmethod
    @contextlib.contextmanager
    def load(
        cls,
        paths: NodePaths,
        path: Path,
        settings: Settings,
        endpoint_id: int,
        policy_room: int | None = None,
        meanwhile: Callable[[], None] = nothing,
    ) -> Iterator[Self]:
        """Load the object with these settings over the node's maps. Raises VerifierError.

        With `policy_room` the policy map is a new, empty one with room for so many entries, which takes the place
        of the old one when the programs do. `meanwhile` is called in a thread of its own while the kernel verifies.
        """
        policy = policy_pin(paths, endpoint_id)
        had_policy = policy.exists()
        with contextlib.ExitStack() as stack:
            try:
                opened = stack.enter_context(_configured(paths, path, settings, policy, policy_room))
                threading.Thread(target=meanwhile, daemon=True).start()
                try:
                    opened.load(quietly=True)
                except OSError:
                    opened = stack.enter_context(_configured(paths, path, settings, policy, policy_room))
                    opened.load()
            except OSError:
                if not had_policy:
                    policy.unlink(missing_ok=True)
                raise
            yield cls(paths, endpoint_id, opened, new_policy_map=policy_room is not None)

    def replace(self, ingress: Hook, egress: Hook) -> None:
        """Let these programs take over from the running ones, if any.

        At every moment either generation is whole: each has a policy map that is complete, and the old program
        array stays pinned until its last packet is through, which `settle` waits for. A process killed in between
        leaves one or two pins under temporary names; they hold the programs that run, so the next run removes them
        only after its own are in place.
        """
        calls = self._temporary(calls_pin(self.paths, self.endpoint_id))
        calls.unlink(missing_ok=True)
        self.object.maps[CALLS_MAP].pin(calls)
        self._insert_policy_programs()
        attach.attach(self.object.programs[TO_CONTAINER], TO_CONTAINER, egress)
        attach.attach(self.object.programs[FROM_CONTAINER], FROM_CONTAINER, ingress)
        self._grace = GracePeriod()

    def settle(self) -> None:
        """Let go of the old programs. Between `replace` and this there is time for other work."""
        if self._grace is None:
            raise ValueError("these programs have not taken over from any")
        self._grace.wait()
        calls, policy = calls_pin(self.paths, self.endpoint_id), policy_pin(self.paths, self.endpoint_id)
        self._temporary(calls).rename(calls)
        if self.new_policy_map:
            temporary = self._temporary(policy)
            temporary.unlink(missing_ok=True)
            self.object.maps[POLICY_MAP].pin(temporary)
            temporary.rename(policy)
        for leftover in (*calls.parent.glob(f"{calls.name}_*"), *policy.parent.glob(f"{policy.name}_*")):
            leftover.unlink(missing_ok=True)

    def _temporary(self, pin: Path) -> Path:
        return pin.with_name(f"{pin.name}_{os.getpid()}")

    def _insert_policy_programs(self) -> None:
        for array, program in POLICY_PROGRAMS.items():
            if (self.paths.globals / array).exists() and program in self.object.programs:
                with BpfMap.open(self.paths.globals / array, read_only=False) as programs:
                    key = self.endpoint_id.to_bytes(4, "little")
                    programs.update_fd(key, self.object.programs[program])


def _configured(paths: NodePaths, path: Path, settings: Settings, policy: Path, room: int | None) -> BpfObject:
    opened = BpfObject.open(path, pin_root=paths.globals)
    for name, value in settings.items():
        opened.rodata[name] = value
    table = opened.maps[POLICY_MAP]
    if room is not None:
        table.max_entries = room
        table.pin_path = None
    elif policy.exists():
        # By descriptor, not by pin: its size may be another than the object's.
        with BpfMap.open(policy, read_only=False) as current:
            table.reuse(current)
        table.pin_path = None
    else:
        table.pin_path = policy
    return opened


def remove(paths: NodePaths, endpoint_id: int, ingress: Hook, egress: Hook) -> None:
    """Take an endpoint's programs and maps away, whatever part of them there is."""
    attach.detach(FROM_CONTAINER, ingress)
    attach.detach(TO_CONTAINER, egress)
    for array in POLICY_PROGRAMS:
        with contextlib.suppress(FileNotFoundError), BpfMap.open(paths.globals / array, False) as programs:
            programs.delete(endpoint_id.to_bytes(4, "little"))
    for pin in (policy_pin(paths, endpoint_id), calls_pin(paths, endpoint_id)):
        for found in (pin, *pin.parent.glob(f"{pin.name}_*")):
            found.unlink(missing_ok=True)
    links = paths.endpoint_links(endpoint_id)
    for directory in (links, links.parent):
        with contextlib.suppress(FileNotFoundError):
            directory.rmdir()
