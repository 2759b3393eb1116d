"""Where bpf file systems are mounted, as /proc/self/mountinfo says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")


class Mount(NamedTuple):
    mount_id: int
    parent_id: int
    device: str
    """major:minor of the file system's device."""
    root: str
    mount_point: str
    mount_options: str
    optional_fields: list[str]
    type: str
    source: str
    super_options: str


def bpf_mounts() -> list[Mount]:
    """Every mounted bpf file system, in the order of mounting."""
    mounts = (_parse(line) for line in MOUNTINFO.read_text().splitlines())
    return [mount for mount in mounts if mount.type == "bpf"]


def mount_of(path: Path, mounts: list[Mount]) -> Mount | None:
    """The mount that a path lies in, of these."""
    holding = [mount for mount in mounts if path.is_relative_to(mount.mount_point)]
    return max(holding, key=lambda mount: len(mount.mount_point), default=None)


def _parse(line: str) -> Mount:
    mount, _, system = line.partition(" - ")
    mount_id, parent_id, device, root, point, options, *optional = mount.split()
    kind, source, super_options = system.split(" ", 2)
    return Mount(
        int(mount_id), int(parent_id), device, _plain(root), _plain(point), options, optional, kind, _plain(source),
        super_options,
    )  # fmt: skip


def _plain(text: str) -> str:
    """A path with the octal escapes of spaces and the like undone."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), text)
