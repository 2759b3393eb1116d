"""`bpf fs`: where bpf file systems are mounted."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cilium_py.cli.context import Settings, output_option, settings, show
from cilium_py.cli.groups import Group
from cilium_py.errors import CiliumPyError
from cilium_py.node.mounts import Mount, bpf_mounts, mount_of
from cilium_py.schema import GoStruct, GoType, Line
from cilium_py.schema.golang import Nil

MOUNT = GoType(
    "MountID", "ParentID", "StDev", "Root", "MountPoint", "MountOptions", "OptionalFields", "FilesystemType",
    "MountSource", "SuperOptions",
)  # fmt: skip


@click.group(cls=Group)
def fs() -> None:
    """The BPF filesystem."""


@fs.command("show")
@output_option
@settings
def show_(where: Settings, output: str | None) -> None:
    """Show every mounted BPF filesystem.

    \b
    cilium-py bpf fs show
    cilium-py bpf fs show -o jsonpath='{[0].mount_point}'
    """
    where.must_be_live()
    form = where.output(output)
    mounts = bpf_mounts()
    if not mounts:
        hint = f"mount one with: mount -t bpf bpf {where.paths.bpf_root}"
        raise CiliumPyError("no bpf file system is mounted", hint)
    if form.compat:
        mounts = [mount_of(Path(where.paths.bpf_root), mounts) or mounts[0]]
    if form.compat and not form.is_text:
        from cilium_py.render.compat import write_document

        write_document(sys.stdout.buffer, form, go_mount(mounts[0]))
        return
    show(form, mounts, Mount, Line(text))


def go_mount(mount: Mount) -> GoStruct:
    """As cilium-dbg has it; a slice without elements is nil."""
    *before, optional, kind, source, super_options = mount
    return MOUNT(*before, optional or Nil(), kind, source, super_options)


def text(mount: Mount) -> str:
    fields = {
        "MountID": mount.mount_id, "ParentID": mount.parent_id, "Mounted State": "true",
        "MountPoint": mount.mount_point, "MountOptions": mount.mount_options,
        "OptionFields": f"[{' '.join(mount.optional_fields)}]", "FilesystemType": mount.type,
        "MountSource": mount.source, "SuperOptions": mount.super_options,
    }  # fmt: skip
    return "\n".join(f"{name + ':':<18}{value}" for name, value in fields.items())
