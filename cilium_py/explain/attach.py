"""Whether the programs that run are those that should, each once, over the maps that are pinned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from cilium_py.survey.model import Attachment, MapFacts, MapPin, ProgramFacts, Survey

ERROR, WARNING, NOTE = "error", "warning", "note"
OURS = ("cil_", "tail_", "handle_", "from-", "to-")
"""How the names of Cilium's programs begin, those of old releases too."""
FROM_CONTAINER = ("cil_from_container", "handle_xgress", "cil_from_netdev", "from-container")
LAYERED = ("tcx", "netkit", "xdp")
"""Kinds of links that end with their interface."""


class Finding(NamedTuple):
    """Something that is not as it should be."""

    severity: str
    """error, warning or note."""
    kind: str
    device: str
    program: str
    text: str


class Attached(NamedTuple):
    """A program at a hook, in the words of `doctor attach`."""

    device: str
    hook: str
    """ingress, egress, xdp, or that of a cgroup."""
    how: str
    """tcx, tc, netkit, xdp or cgroup."""
    program: str
    program_id: int
    endpoint: int | None
    pin: str
    """Of its link, below the directory of links; empty for one that is not pinned, or attached without a link."""


def attached(survey: Survey) -> list[Attached]:
    """Every program at a hook, by device; links of no interface that was looked at last."""
    pins = {link.link_id: link.path for link in survey.links}
    endpoints = {each.ifindex: each.id for each in survey.endpoints}
    return [
        Attached(
            each.device, each.hook, each.how, name_of(survey, each), each.program_id, endpoints.get(each.ifindex),
            pins.get(each.link_id, ""),
        )
        for each in survey.attachments
    ]  # fmt: skip


def name_of(survey: Survey, attachment: Attachment) -> str:
    """In full, from BTF or else from tc."""
    program = survey.program(attachment.program_id)
    name = program.name if program is not None else ""
    return attachment.name if attachment.name.startswith(name) else name or attachment.name


def findings(survey: Survey) -> list[Finding]:
    """What is wrong, errors first."""
    order = (ERROR, WARNING, NOTE)
    found = [
        *_other_maps(survey), *_missing(survey), *_doubled(survey), *_stale(survey), *_empty_arrays(survey),
        *_unpinned(survey), *(Finding(WARNING, "not seen", "", "", text) for text in survey.unseen),
    ]  # fmt: skip
    return sorted(found, key=lambda each: (order.index(each.severity), each.kind, each.device, each.text))


def is_ours(name: str) -> bool:
    return name.startswith(OURS)


def _running(survey: Survey) -> dict[int, set[str]]:
    """Program -> the devices at which it can run: those attached, and those they reach by tail calls."""
    arrays = {each.id: each.program_ids for each in survey.maps} | {pin.id: pin.program_ids for pin in survey.pins}
    programs = {each.id: each for each in survey.programs}
    found: defaultdict[int, set[str]] = defaultdict(set)
    waiting = [(each.program_id, each.device) for each in survey.attachments]
    while waiting:
        program_id, device = waiting.pop()
        if device in found[program_id] or program_id not in programs:
            continue
        found[program_id].add(device)
        waiting += [(called, device) for map_id in programs[program_id].map_ids for called in arrays.get(map_id, ())]
    return found


def _other_maps(survey: Survey) -> Iterator[Finding]:
    """Maps in use whose name is pinned, but for another map."""
    pinned = {pin.id for pin in survey.pins}
    by_name: defaultdict[tuple[str, str], list[MapPin]] = defaultdict(list)
    for pin in survey.pins:
        by_name[pin.name, pin.type].append(pin)
    running = _running(survey)
    for used in survey.maps:
        same = by_name.get((used.name, used.type))
        if used.id in pinned or not same:
            continue
        users = [each for each in survey.users_of(used.id) if running.get(each.id)]
        if users and any(is_ours(each.name) for each in users):
            yield _other_map(used, same, users, sorted({device for each in users for device in running[each.id]}))


def _other_map(used: MapFacts, same: list[MapPin], users: list[ProgramFacts], devices: list[str]) -> Finding:
    names = ", ".join(sorted({each.name for each in users})[:3])
    pins = ", ".join(f"{pin.pin} (id {pin.id})" for pin in same[:3])
    more = f" and {len(same) - 3} more" if len(same) > 3 else ""
    where = ", ".join(devices[:3])
    return Finding(
        ERROR, "another map", devices[0], names,
        f"{names} at {where} use a map {used.name} with id {used.id} that is not pinned; pinned by that name:"
        f" {pins}{more}",
    )  # fmt: skip


def _missing(survey: Survey) -> Iterator[Finding]:
    """Endpoints whose interface has no program that takes what they send."""
    devices = {each.ifindex: each.name for each in survey.devices}
    for endpoint in survey.endpoints:
        if not endpoint.ifindex:
            continue
        device = devices.get(endpoint.ifindex)
        if device is None:
            text = f"endpoint {endpoint.id} is at interface {endpoint.ifindex}, which is not there"
            yield Finding(ERROR, "interface gone", "", "", text)
            continue
        here = [each for each in survey.attachments if each.ifindex == endpoint.ifindex]
        names = {name_of(survey, each) for each in here if each.hook == "ingress"}
        if not any(name.startswith(FROM_CONTAINER) for name in names):
            instead = f", but {', '.join(sorted(names))}" if names else ""
            text = f"no program takes what endpoint {endpoint.id} sends at {device}{instead}: policy is not enforced"
            yield Finding(ERROR, "missing", device, "cil_from_container", text)


def _doubled(survey: Survey) -> Iterator[Finding]:
    """Hooks at which a program of Cilium's is twice, or at two layers."""
    hooks: defaultdict[tuple[str, str], list[Attachment]] = defaultdict(list)
    for each in survey.attachments:
        hooks[each.device, each.hook].append(each)
    for (device, hook), there in hooks.items():
        ours: defaultdict[str, list[Attachment]] = defaultdict(list)
        for each in there:
            name = name_of(survey, each)
            if is_ours(name):
                ours[name].append(each)
        for name, several in ours.items():
            if len(several) > 1:
                said = ", ".join(f"{each.how} id {each.program_id}" for each in several)
                text = f"{name} is attached {len(several)} times at {device} {hook}: {said}"
                yield Finding(ERROR, "doubled", device, name, text)
        foreign = [each for each in there if not is_ours(name_of(survey, each))]
        if ours and foreign and there[0].how != "cgroup":
            names = ", ".join(name_of(survey, each) or f"id {each.program_id}" for each in foreign)
            text = f"{device} {hook} has other programs beside Cilium's: {names}"
            yield Finding(NOTE, "company", device, names, text)


def _stale(survey: Survey) -> Iterator[Finding]:
    """Pinned links that lead nowhere."""
    for link in survey.links:
        if link.kind in LAYERED and not link.ifindex:
            text = f"{link.path} is a link of an interface that is gone"
            yield Finding(WARNING, "stale link", "", "", text)


def _empty_arrays(survey: Survey) -> Iterator[Finding]:
    for pin in survey.pins:
        if pin.type == "prog_array" and pin.pin.startswith("cilium_calls") and not pin.program_ids:
            yield Finding(ERROR, "no tail calls", "", pin.pin, f"{pin.pin} has no programs: every packet is dropped")


def _unpinned(survey: Survey) -> Iterator[Finding]:
    """Links of Cilium's programs that last no longer than the process that made them."""
    pinned = {link.link_id for link in survey.links}
    for each in survey.attachments:
        name = name_of(survey, each)
        if each.link_id and each.link_id not in pinned and is_ours(name):
            text = f"{name} at {each.device} {each.hook}: its link {each.link_id} is not pinned below this node"
            yield Finding(WARNING, "link not pinned", each.device, name, text)
