"""Rewrite an endpoint's headers, load its programs anew and put them in the place of the running ones."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cilium_py.errors import CiliumPyError, RegenerationFailed
from cilium_py.libbpf import VerifierError
from cilium_py.loader import header, state, template
from cilium_py.loader.attach import Hook
from cilium_py.loader.endpoint import POLICY_MAP, EndpointPrograms, policy_pin
from cilium_py.loader.phases import Phases
from cilium_py.loader.template import Template
from cilium_py.node import entries
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths

from . import store
from .model import Endpoint, Policy

if TYPE_CHECKING:
    from cilium_py.loader.compiler import Compiler
    from cilium_py.policy.desired import DesiredPolicy

VERIFIER_LOG = "verifier.log"


@dataclass(frozen=True)
class Build:
    """How to build: with which options changed, from the prebuilt object or by a compiler, told to whom."""

    options: dict[str, int] = field(default_factory=dict)
    compiler: Compiler | None = None
    phases: Phases = field(default_factory=Phases)


def regenerate(paths: NodePaths, endpoint_id: int, build: Build | None = None) -> Endpoint:
    """Build and wait until the new program runs. Raises RegenerationFailed; the old one then still runs."""
    build = build or Build()
    with build.phases("total"), contextlib.ExitStack() as stack:
        with build.phases("waitingForLock"):
            store.load(paths, endpoint_id)
            stack.enter_context(state.locked(store.lock_of(paths, endpoint_id)))
        return regenerate_locked(paths, NodeConfig.load(paths), store.load(paths, endpoint_id), build)


def regenerate_locked(paths: NodePaths, node: NodeConfig, endpoint: Endpoint, build: Build) -> Endpoint:
    """Build an endpoint whose lock the caller holds."""
    endpoint = endpoint.with_options(build.options)
    work = paths.endpoint_next(endpoint.id)
    try:
        with build.phases("policyCalculation"):
            endpoint, wanted = _policy(paths, node, endpoint)
        with build.phases("prepareBuild"):
            _begin(paths, node, endpoint, work)
        found = _template(paths, node, endpoint, build)
        state.write(work / "template.txt", found.hash)
        _load(paths, node, endpoint, found, wanted, build.phases)
        with build.phases("mapSync"):
            entries.put_local(paths, endpoint.addresses, endpoint.entry())
        state.exchange(work, paths.endpoint(endpoint.id))
    except (OSError, CiliumPyError) as error:
        raise _failed(paths, endpoint, error) from error
    state.remove_directory(work)
    state.remove_directory(paths.endpoint_failed(endpoint.id))
    return endpoint


def hooks(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> tuple[Hook, Hook]:
    """Where the programs sit: what the endpoint sends comes in at the host side, what it gets goes out there."""
    links = paths.endpoint_links(endpoint.id)
    index, namespace = endpoint.interface_index, node.namespace
    return (
        Hook(index, "ingress", links, namespace, node.attach),
        Hook(index, "egress", links, namespace, node.attach),
    )


def _begin(paths: NodePaths, node: NodeConfig, endpoint: Endpoint, work: Path) -> None:
    """Write the headers to a fresh work directory; of a first build that was cut short, it is the only trace."""
    current = paths.endpoint(endpoint.id)
    if current.exists():
        state.remove_directory(work)
    state.make_directory(work)
    store.save(work, endpoint)
    comments = {
        "Endpoint": endpoint.id,
        "Name": endpoint.name,
        "Container": endpoint.container_id or "-",
        "Interface": endpoint.interface,
        "IPv4": endpoint.ipv4 or "-",
        "IPv6": endpoint.ipv6 or "-",
        "Identity": endpoint.identity,
        "Labels": " ".join(endpoint.labels),
        "PolicyMap": f"cilium_policy_v2_{endpoint.id:05d}",
        "NodeMAC": endpoint.interface_mac.hex(":"),
    }
    settings = {**node.settings(), **endpoint.switches(), **endpoint.settings()}
    document = (work / store.DOCUMENT).read_text()
    state.write(work / "ep_config.h", header.render(settings, comments, document))
    _keep_other_files(current, work)


def _keep_other_files(current: Path, work: Path) -> None:
    """Files of the running generation that this one does not write come along as hard links."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(current):
            if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                with contextlib.suppress(FileExistsError):
                    os.link(entry.path, work / entry.name)


def _template(paths: NodePaths, node: NodeConfig, endpoint: Endpoint, build: Build) -> Template:
    settings = {**node.settings(), **endpoint.switches()}
    if build.compiler is None:
        with build.phases("bpfWaitForELF"):
            return template.prebuilt(paths, settings)
    with build.phases("bpfCompilation"):
        return template.compiled(paths, settings, build.compiler)


def _policy(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> tuple[Endpoint, DesiredPolicy | None]:
    """The endpoint as the rules of now make it, and what its policy map is to hold."""
    from cilium_py.policy.place import file_of

    if not file_of(paths).exists():
        return endpoint, None
    from cilium_py.policy import realize

    wanted = realize.calculate(paths, node, endpoint)
    if wanted is None:
        return endpoint, None
    return replace(endpoint, policy=Policy(wanted.revision, wanted.enforce_ingress, wanted.enforce_egress)), wanted


def _load(
    paths: NodePaths,
    node: NodeConfig,
    endpoint: Endpoint,
    found: Template,
    wanted: DesiredPolicy | None,
    phases: Phases,
) -> None:
    """Load the programs, fill their policy map, and only then let packets reach them."""
    settings = {**node.settings(), **endpoint.switches(), **endpoint.settings()}
    room = None
    if wanted is not None:
        from cilium_py.policy import table

        if not table.fits(policy_pin(paths, endpoint.id), wanted):
            room = table.room_for(len(wanted.entries))
    with contextlib.ExitStack() as stack:
        with phases("bpfLoadProg"):
            loading = EndpointPrograms.load(paths, found.object, settings, endpoint.id, room)
            programs = stack.enter_context(loading)
        if wanted is not None:
            with phases("mapSync"):
                table.apply(programs.object.maps[POLICY_MAP], wanted)
        with phases("bpfLoadProg"):
            programs.replace(*hooks(paths, node, endpoint))


def _failed(paths: NodePaths, endpoint: Endpoint, error: OSError | CiliumPyError) -> RegenerationFailed:
    """Keep the work directory, with the verifier's log in it, as the failed one."""
    work, failed = paths.endpoint_next(endpoint.id), paths.endpoint_failed(endpoint.id)
    log = error.log if isinstance(error, VerifierError) else None
    with contextlib.suppress(OSError):
        if log is not None:
            state.write(work / VERIFIER_LOG, log)
        state.remove_directory(failed)
        work.rename(failed)
    hint = f"the whole log is in {failed / VERIFIER_LOG}" if log is not None else getattr(error, "hint", None)
    return RegenerationFailed(f"endpoint {endpoint.id}: not regenerated: {error}", hint)
