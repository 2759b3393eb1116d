"""The prober's API: cilium-health's under /v1beta, and the history."""

from __future__ import annotations

import asyncio
import os
import time
from http import HTTPStatus
from typing import Any

from cilium_py.endpoint.overview import overview
from cilium_py.errors import CiliumPyError, WrongUsage, said
from cilium_py.paths import NodePaths
from cilium_py.schema import duration

from .metrics import Metrics
from .prober import Prober
from .webserver import Request, Response, Routes, as_json, problem

BASE = "/v1beta"
DEFAULT_TIMEOUT, LONGEST_TIMEOUT = 10.0, 300.0


class Api:
    """What the socket answers."""

    def __init__(self, paths: NodePaths, prober: Prober) -> None:
        self.paths = paths
        self.prober = prober
        self._started = time.monotonic()

    def routes(self) -> Routes:
        return {
            ("GET", f"{BASE}/healthz"): self.healthz,
            ("GET", f"{BASE}/status"): self.status,
            ("PUT", f"{BASE}/status/probe"): self.probe,
            ("GET", f"{BASE}/history"): self.history,
        }

    async def healthz(self, _request: Request) -> Response:
        """The node, the prober's uptime, the machine's load; 500 if there is no node any more."""
        try:
            found = await asyncio.to_thread(overview, self.paths)
        except (CiliumPyError, OSError) as error:
            return as_json(f"the node cannot be read: {said(error)}", HTTPStatus.INTERNAL_SERVER_ERROR)
        state = {"state": "Warning", "msg": "; ".join(found.problems)} if found.problems else {"state": "Ok", "msg": ""}
        loads = [f"{load:.2f}" for load in os.getloadavg()]
        return as_json(
            {
                "cilium": {"cilium": state},
                "system-load": dict(zip(("last1min", "last5min", "last15min"), loads, strict=True)),
                "uptime": duration.of_seconds(time.monotonic() - self._started),
            }
        )

    async def status(self, _request: Request) -> Response:
        return as_json(self.prober.report().document())

    async def probe(self, request: Request) -> Response:
        """Probe everything now, for at most `timeout`, and answer with what there is then."""
        try:
            timeout = duration.seconds(request.query.get("timeout", f"{DEFAULT_TIMEOUT}s"))
        except WrongUsage as error:
            return problem(HTTPStatus.BAD_REQUEST, error.message)
        await self.prober.probe_all(min(timeout, LONGEST_TIMEOUT))
        return as_json(self.prober.report().document())

    async def history(self, _request: Request) -> Response:
        return as_json([summary._asdict() for summary in self._summaries()])

    def _summaries(self) -> Any:  # an iterator of named tuples
        for leg in self.prober.report().legs():
            for protocol in ("icmp", "http"):
                yield self.prober.history.summary(leg.node, leg.type, leg.rank, leg.path.ip, protocol)


def metrics_routes(metrics: Metrics) -> Routes:
    async def text(_request: Request) -> Response:
        return Response(metrics.text().encode(), "text/plain; version=0.0.4; charset=utf-8")

    return {("GET", "/metrics"): text}
