"""The survey that a command looks at: of the live node, or as it was recorded."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cilium_py.cli.context import Settings
from cilium_py.errors import CiliumPyError, MapMissing
from cilium_py.node.config import FILE, NodeConfig
from cilium_py.survey.model import Survey
from cilium_py.table import explained


def node_of(where: Settings) -> NodeConfig | None:
    """The node's configuration; None for a node that is not ours."""
    if not (where.paths.state_dir / FILE).exists():
        return None
    return NodeConfig.load(where.paths)


def live(where: Settings) -> Survey:
    """Look at the node as it is now. Raises MapMissing, NotPermitted."""
    from cilium_py.survey.take import take

    node = node_of(where)
    try:
        return take(where.paths, node.namespace if node is not None else None)
    except FileNotFoundError as error:
        hint = "is Cilium running here? --bpf-root names another bpffs"
        raise MapMissing(f"{where.paths.globals}: no maps are pinned", hint) from error
    except OSError as error:
        raise explained(error, where.paths.globals) from error


def survey_of(where: Settings) -> Survey:
    """The recorded survey with --from, else the live one."""
    if where.recording is None:
        return live(where)
    found = where.recording.survey()
    if found is None:
        raise CiliumPyError(f"{where.recording.origin}: says nothing of programs", "a snapshot does")
    return found


def shared_state(where: Settings) -> dict[str, Path | bytes]:
    """Files that nodes share, under the names that they have on a node of its own."""
    node = node_of(where)
    if node is None:
        return {}
    return {
        "identities/identities.json": node.identity_store(where.paths).directory / "identities.json",
        "nodes.json": node.roster(where.paths).file,
    }


def tick_count() -> int | None:
    from cilium_py.node.runtime import jiffies

    with suppress(CiliumPyError):
        return jiffies()
    return None
