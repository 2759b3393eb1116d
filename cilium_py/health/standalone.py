"""One round of probes without a prober that runs."""

from __future__ import annotations

import asyncio

from cilium_py.net.namespace import inside
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from .daemon import aim
from .model import Report
from .prober import Manner, Prober


def probe_once(paths: NodePaths, timeout: float, manner: Manner) -> Report:
    """Probe everything from this node, for so many seconds at most, and report what there is then."""
    config = NodeConfig.load(paths)
    with inside(config.namespace):
        return asyncio.run(_probe(paths, config, timeout, manner))


async def _probe(paths: NodePaths, config: NodeConfig, timeout: float, manner: Manner) -> Report:
    prober = Prober(config.introduction().full_name, manner)
    aim(prober, paths, config)
    with prober.sockets():
        await prober.probe_all(timeout)
        return prober.report()
