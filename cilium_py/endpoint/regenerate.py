"""Rewrite an endpoint's headers, load its programs anew and put them in the place of the running ones."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cilium_py.errors import CiliumPyError, CompilationFailed, RegenerationFailed, advice, said
from cilium_py.libbpf import VerifierError
from cilium_py.loader import header, state, template
from cilium_py.loader.endpoint import EndpointPrograms
from cilium_py.loader.phases import Phases
from cilium_py.loader.pins import POLICY_MAP, policy_pin
from cilium_py.loader.template import Template
from cilium_py.node import templates
from cilium_py.node.config import NodeConfig
from cilium_py.paths import NodePaths
from cilium_py.policy.place import file_of

from . import lifecycle, scrub, status, store
from .attachment import hooks
from .model import Endpoint, Policy

if TYPE_CHECKING:
    from cilium_py.loader.compiler import Compiler
    from cilium_py.policy.desired import DesiredPolicy
    from cilium_py.policy.rule import Direction

VERIFIER_LOG, COMPILER_LOG = "verifier.log", "compiler.log"


def nobody() -> None:
    """Tell nobody that the request was taken."""


@dataclass(frozen=True)
class Build:
    """How to build: with which options changed, from the prebuilt object or by a compiler, told to whom."""

    options: dict[str, int] = field(default_factory=dict)
    compiler: Compiler | None = None
    phases: Phases = field(default_factory=Phases)
    reason: str = "asked for by hand"
    patience: float | None = None
    """Seconds to wait for others that work on the endpoint; None for as long as it takes."""
    accepted: Callable[[], None] = nobody
    """Called when the request is recorded, before its turn comes."""


def regenerate(paths: NodePaths, endpoint_id: int, build: Build | None = None) -> Endpoint:
    """Build and wait until the new program runs. Raises RegenerationFailed; the old one then still runs.

    An endpoint that lost its pins or its interface is restored, if its namespace is there.
    """
    build = build or Build()
    with build.phases("total"), contextlib.ExitStack() as stack:
        with build.phases("waitingForLock"):
            store.load(paths, endpoint_id)
            lifecycle.request(paths, endpoint_id, build.reason)
            build.accepted()
            try:
                stack.enter_context(state.locked(store.lock_of(paths, endpoint_id), build.patience))
            except TimeoutError as error:
                raise RegenerationFailed(
                    f"endpoint {endpoint_id}: not regenerated: {error.strerror} for more than {build.patience:g} s",
                    f"cilium-py endpoint log {endpoint_id}",
                ) from error
        node, endpoint = NodeConfig.load(paths), store.load(paths, endpoint_id)
        if status.is_lost(paths, node, endpoint):
            node, endpoint = _restored(paths, node, endpoint)
        return regenerate_locked(paths, node, endpoint, build)


def regenerate_locked(paths: NodePaths, node: NodeConfig, endpoint: Endpoint, build: Build) -> Endpoint:
    """Build an endpoint whose lock the caller holds."""
    lifecycle.begins(paths, endpoint.id, build.reason, endpoint.identity)
    endpoint = endpoint.with_options(build.options)
    current, work = paths.endpoint(endpoint.id), paths.endpoint_next(endpoint.id)
    try:
        with build.phases("policyCalculation"):
            was_open = _open_directions(paths, endpoint)
            endpoint, wanted = _policy(paths, node, endpoint)
        with build.phases("prepareBuild"):
            _begin(paths, node, endpoint, work)
        found = _template(paths, node, endpoint, build, work)
        if not current.exists():
            with build.phases("waitingForCTClean"):
                scrub.forget_connections(paths, endpoint.addresses)
        with contextlib.ExitStack() as stack:
            programs = _load(stack, paths, node, endpoint, found, wanted, was_open, build.phases)
            with build.phases("mapSync"):
                _make_known(paths, node, endpoint, wanted)
            with build.phases("bpfLoadProg"):
                programs.settle()
        state.exchange(work, current)
    except (OSError, CiliumPyError) as error:
        raise _failed(paths, endpoint, error) from error
    before = templates.named_template(work)
    state.remove_directory(work)
    state.remove_directory(paths.endpoint_failed(endpoint.id))
    if before not in (None, found.hash):
        templates.prune(paths)
    lifecycle.succeeded(paths, endpoint.id, build.reason)
    return endpoint


def _restored(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> tuple[NodeConfig, Endpoint]:
    from . import restore

    try:
        return restore.find_again(paths, node, endpoint)
    except (OSError, CiliumPyError) as error:
        lifecycle.failed(paths, endpoint.id, error)
        raise RegenerationFailed(
            f"endpoint {endpoint.id}: not regenerated: {said(error)}", f"cilium-py endpoint delete {endpoint.id}"
        ) from error


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


def _template(paths: NodePaths, node: NodeConfig, endpoint: Endpoint, build: Build, work: Path) -> Template:
    """Find or make the template, and name it as used before somebody could take it away as unused."""
    settings = {**node.settings(), **endpoint.switches()}
    with build.phases("bpfWaitForELF" if build.compiler is None else "bpfCompilation"), templates.locked(paths):
        if build.compiler is None:
            found = template.prebuilt(paths, settings)
        else:
            found = template.compiled(paths, settings, build.compiler)
        state.write(work / templates.NAMED, found.hash)
    return found


def _policy(paths: NodePaths, node: NodeConfig, endpoint: Endpoint) -> tuple[Endpoint, DesiredPolicy | None]:
    """The endpoint as the rules of now make it, and what its policy map is to hold."""
    if not file_of(paths).exists():
        return endpoint, None
    from cilium_py.policy import realize

    wanted = realize.calculate(paths, node, endpoint)
    if wanted is None:
        return endpoint, None
    return replace(endpoint, policy=Policy(wanted.revision, wanted.enforce_ingress, wanted.enforce_egress)), wanted


def _open_directions(paths: NodePaths, endpoint: Endpoint) -> list[Direction]:
    """Where the running programs let pass what no entry is for: before the first rule, by the endpoint's options."""
    if endpoint.policy.revision or not file_of(paths).exists():
        return []
    from cilium_py.policy.rule import Direction

    closed = {Direction.INGRESS: endpoint.enforces_ingress, Direction.EGRESS: endpoint.enforces_egress}
    return [direction for direction in Direction if not closed[direction]]


def _make_known(paths: NodePaths, node: NodeConfig, endpoint: Endpoint, wanted: DesiredPolicy | None) -> None:
    from cilium_py.node import entries

    entries.put_local(paths, endpoint.addresses, endpoint.entry())
    if wanted is not None:
        from cilium_py.policy import realize

        realize.publish(paths, node, endpoint.id, endpoint.policy.revision)


def _load(
    stack: contextlib.ExitStack,
    paths: NodePaths,
    node: NodeConfig,
    endpoint: Endpoint,
    found: Template,
    wanted: DesiredPolicy | None,
    was_open: list[Direction],
    phases: Phases,
) -> EndpointPrograms:
    """Load the programs and let them take over: over a new map when that is filled, over the old one at once.

    `was_open`: the directions that the running programs leave open without an entry of the map that says so.
    """
    settings = {**node.settings(), **endpoint.switches(), **endpoint.settings()}
    if wanted is None:
        with phases("bpfLoadProg"):
            programs = stack.enter_context(
                EndpointPrograms.load(paths, found.object, settings, endpoint.id, meanwhile=_import_ahead)
            )
            programs.replace(*hooks(paths, node, endpoint))
        return programs
    from cilium_py.policy import table

    pin = policy_pin(paths, endpoint.id)
    room = None if table.fits(pin, wanted) else table.room_for(len(wanted.entries))
    is_new = room is not None or not pin.exists()
    with phases("bpfLoadProg"):
        programs = stack.enter_context(
            EndpointPrograms.load(paths, found.object, settings, endpoint.id, room, _import_ahead)
        )
    entries_map = programs.object.maps[POLICY_MAP]
    with phases("mapSync"):
        if is_new:
            table.apply(entries_map, wanted)
        else:
            table.open_up(entries_map, was_open)
    with phases("bpfLoadProg"):
        programs.replace(*hooks(paths, node, endpoint))
    with phases("mapSync"):
        table.apply(entries_map, wanted)
    return programs


def _import_ahead() -> None:
    from cilium_py.node import entries  # noqa: F401  # for _make_known, when the programs are loaded


def _failed(paths: NodePaths, endpoint: Endpoint, error: OSError | CiliumPyError) -> RegenerationFailed:
    """Keep the work directory as the failed one, with the log of the verifier or of the compiler in it."""
    work, failed = paths.endpoint_next(endpoint.id), paths.endpoint_failed(endpoint.id)
    name = {VerifierError: VERIFIER_LOG, CompilationFailed: COMPILER_LOG}.get(type(error))
    log = error.log if isinstance(error, VerifierError | CompilationFailed) else None
    with contextlib.suppress(OSError):
        if name is not None and log is not None:
            state.write(work / name, log)
        state.remove_directory(failed)
        work.rename(failed)
    lifecycle.failed(paths, endpoint.id, error)
    hint = f"the whole log is in {failed / name}" if name is not None else advice(error)
    return RegenerationFailed(f"endpoint {endpoint.id}: not regenerated: {said(error)}", hint)
