"""The maps that are pinned on a node, whatever they are."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from cilium_py.bpf.directory import Pins, pins_of
from cilium_py.bpf.map import BpfMap
from cilium_py.cli.streams import printable
from cilium_py.errors import MapMissing
from cilium_py.table import explained


def pinned_maps(directory: Path | Pins) -> Iterator[tuple[str, BpfMap]]:
    """Name and map of each pin that is a map, by name; each map is closed when the next one is asked for.

    Raises MapMissing if there is no such directory, NotPermitted.
    """
    pins = pins_of(directory)
    where = pins.path("")
    try:
        names = pins.names()
    except FileNotFoundError as error:
        hint = "is Cilium running here? --bpf-root names another bpffs"
        raise MapMissing(f"{where}: no maps are pinned", hint) from error
    except OSError as error:
        raise explained(error, where) from error
    for name in names:
        try:
            opened = pins.open(name)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL):
                continue  # gone meanwhile, or no map
            raise explained(error, pins.path(name)) from error
        with opened:
            yield printable(name), opened
