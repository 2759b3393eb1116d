"""What cilium-dbg prints to stdout where a command is missing or unknown: its help, for scripts that look at it.

Only with --compat, and only of the commands whose help is recorded; every other help is our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

GLOBAL_FLAGS = """\
Global Flags:
      --config string        Config file (default is $HOME/.cilium.yaml)
  -D, --debug                Enable debug messages
  -H, --host string          URI to server-side API
      --log-driver strings   Logging endpoints to use (example: syslog)
      --log-opt map          Log driver options (example: format=json)
"""


GLOBAL_OPTIONS = {
    "--config": True, "-D": False, "--debug": False, "-H": True, "--host": True, "--log-driver": True,
    "--log-opt": True,
}  # fmt: skip
"""The options that every command of cilium-dbg takes, and whether a value follows."""


def without_global_options(words: Sequence[str]) -> list[str]:
    """What is left of a command line: these options say how to reach an agent, and we ask none."""
    left: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            return [*left, word, *waiting]
        name, equals, _ = word.partition("=")
        takes_value = GLOBAL_OPTIONS.get(name)
        if takes_value is None:
            left.append(word)
        elif takes_value and not equals:
            next(waiting, None)
    return left


@dataclass(frozen=True)
class Help:
    """The help of a group, by its commands, or of a command, by its arguments and flags."""

    about: str
    commands: Mapping[str, str] = field(default_factory=dict)
    aliases: str = ""
    arguments: str = ""
    flags: tuple[str, ...] = ()

    def text(self, path: str) -> str:
        name = path.rpartition(" ")[2]
        parts = [self.about, f"Usage:\n  {path} {'[command]' if self.commands else self.arguments + ' [flags]'}"]
        if self.aliases:
            parts.append(f"Aliases:\n  {name}, {self.aliases}")
        if self.commands:
            width = max(11, *map(len, self.commands))
            listed = "\n".join(f"  {word:<{width}} {about}" for word, about in self.commands.items())
            parts.append(f"Available Commands:\n{listed}")
        width = 22 if self.flags else 13
        flags = (f"{'-h, --help':<{width - 1}} help for {name}", *self.flags)
        parts.append("Flags:\n" + "\n".join(f"  {flag}" for flag in flags))
        parts.append(GLOBAL_FLAGS)
        more = f'\nUse "{path} [command] --help" for more information about a command.\n' if self.commands else ""
        return "\n\n".join(parts) + more


HELP = {
    (): Help("Direct access to local BPF maps", {
        "auth": "Manage authenticated connections between identities",
        "bandwidth": "BPF datapath bandwidth settings",
        "config": "Manage runtime config",
        "ct": "Connection tracking tables",
        "egress": "Manage the egress routing rules",
        "endpoint": "Local endpoint map",
        "frag": "Manage the IPv4 datagram fragments",
        "fs": "BPF filesystem mount",
        "ipcache": "Manage the IPCache mappings for IP/CIDR <-> Identity",
        "ipmasq": "ip-masq-agent CIDRs",
        "lb": "Load-balancing configuration",
        "metrics": "BPF datapath traffic metrics",
        "multicast": "Manage multicast BPF programs",
        "nat": "NAT mapping tables",
        "nodeid": "Manage the node IDs",
        "policy": "Manage policy related BPF maps",
        "recorder": "PCAP recorder",
        "sha": "Manage compiled BPF template objects",
        "srv6": "Manage the SRv6 routing rules",
        "vtep": "Manage the VTEP mappings for IP/CIDR <-> VTEP MAC/IP",
    }),
    ("auth",): Help("Manage authenticated connections between identities", {
        "flush": "Deletes all entries for authenticated connections between identities",
        "list": "List all authenticated connections between identities",
    }),
    ("bandwidth",): Help("BPF datapath bandwidth settings", {"list": "List BPF datapath bandwidth settings"}),
    ("config",): Help("Manage runtime config", {"list": "List all runtime config entries"}),
    ("ct",): Help("Connection tracking tables", {
        "flush": "Flush all connection tracking entries",
        "list": "List connection tracking entries",
    }),
    ("egress",): Help("Manage the egress routing rules", {"list": "List egress policy entries"}),
    ("endpoint",): Help("Local endpoint map", {
        "delete": "Delete local endpoint entries",
        "list": "List local endpoint entries",
    }),
    ("frag",): Help(
        "Manage the IPv4 datagram fragments", {"list": "List IPv4 and IPv6 fragments"}, aliases="fragments"
    ),
    ("fs",): Help("BPF filesystem mount", {"show": "Show bpf filesystem mount details"}),
    ("ipcache",): Help("Manage the IPCache mappings for IP/CIDR <-> Identity", {
        "delete": "Delete an entry for a prefix",
        "get": "Retrieve identity for an ip",
        "list": "List endpoint IPs (local and remote) and their corresponding security identities",
        "match": "Retrieve identity for a prefix using an exact match",
        "update": "Update an entry for a prefix",
    }),
    ("ipmasq",): Help("ip-masq-agent CIDRs", {"list": "List ip-masq-agent CIDRs"}),
    ("lb",): Help("Load-balancing configuration", {
        "list": "List load-balancing configuration",
        "maglev": "Maglev lookup table",
    }),
    ("lb", "maglev"): Help("Maglev lookup table", {
        "get": "Get Maglev lookup table for given service by ID",
        "list": "List Maglev lookup tables",
    }),
    ("metrics",): Help("BPF datapath traffic metrics", {"list": "List BPF datapath traffic metrics"}),
    ("multicast",): Help("Manage multicast BPF programs", {
        "group": "Manage the multicast groups.",
        "subscriber": "Manage the multicast subscribers.",
    }, aliases="mcast"),
    ("multicast", "group"): Help("Manage the multicast groups.", {
        "add": "Add a multicast group.",
        "delete": "Delete a multicast group.",
        "list": "List the multicast groups.",
    }),
    ("multicast", "subscriber"): Help("Manage the multicast subscribers.", {
        "add": "Add a remote subscriber to the multicast group.",
        "delete": "Delete a subscriber from the multicast group.",
        "list": "List the multicast subscribers for the given group.",
    }, aliases="sub"),
    ("nat",): Help("NAT mapping tables", {
        "flush": "Flush all NAT mapping entries",
        "list": "List all NAT mapping entries",
        "retries": "Histogram of retries",
    }),
    ("nat", "retries"): Help("Histogram of retries", {
        "flush": "Reset the NAT retries histogram",
        "list": "Show the NAT retries histogram",
    }),
    ("nodeid",): Help("Manage the node IDs", {"list": "List node IDs and their IP addresses"}),
    ("policy",): Help("Manage policy related BPF maps", {
        "add": "Add/update policy entry",
        "delete": "Delete a policy entry",
        "get": "Get contents of a policy BPF map",
        "list": "Dump all policy maps",
    }),
    ("recorder",): Help("PCAP recorder", {"list": "List PCAP recorder entries"}),
    ("sha",): Help("Manage compiled BPF template objects", {
        "get": "Get datapath SHA header",
        "list": "List BPF template objects.",
    }, aliases="template"),
    ("sha", "get"): Help(
        "Get datapath SHA header", aliases="describe", arguments="<sha>",
        flags=("-o, --output string   json| yaml| jsonpath='{}'",),
    ),
    ("srv6",): Help("Manage the SRv6 routing rules", {
        "policy": "List SRv6 policy entries",
        "sid": "List SRv6 SID entries",
        "vrf": "List SRv6 VRF mappings",
    }),
    ("vtep",): Help("Manage the VTEP mappings for IP/CIDR <-> VTEP MAC/IP", {
        "delete": "Delete vtep entries",
        "list": "List VTEP CIDR and their corresponding VTEP MAC/IP",
        "update": "Update vtep entries",
    }),
}  # fmt: skip
OTHER_NAMES = {
    ("fragments",): "frag", ("mcast",): "multicast", ("template",): "sha", ("multicast", "sub"): "subscriber",
    ("multicast", "group", "del"): "delete", ("multicast", "subscriber", "del"): "delete",
    ("sha", "describe"): "get", ("srv6", "ctx"): "vrf", ("srv6", "pol"): "policy", ("vtep", "add"): "update",
}  # fmt: skip
WITHOUT_LS = {("bandwidth",), ("metrics",), ("nodeid",)}
"""Groups whose `list` has no other name."""
OF_LATER_RELEASES = {("metrics", "flush")}


def instead_of(words: Sequence[str], known: Sequence[str]) -> str | None:
    """The help that cilium-dbg prints for the words behind `bpf`, or None; `known` are the groups that there are."""
    if not words or (words[0] not in known and not words[0].startswith("-")):
        return HELP[()].text("cilium-dbg bpf")
    path: tuple[str, ...] = ()
    for word in words:
        inner = (*path, meant(path, word))
        if inner not in HELP:
            break
        path = inner
    help, rest = HELP[path], words[len(path) :]
    if not path:
        return None
    if help.commands:
        told = any(word.startswith("-") or is_command(path, word) for word in rest[:1])
    else:
        told = any(not word.startswith("-") and before != "-o" for before, word in zip(["", *rest], rest, strict=False))
    return None if told else help.text(" ".join(("cilium-dbg bpf", *path)))


def meant(path: tuple[str, ...], word: str) -> str:
    """What cilium-dbg calls a command."""
    if word == "ls" and path not in WITHOUT_LS:
        return "list"
    return OTHER_NAMES.get((*path, word), word)


def is_command(path: tuple[str, ...], word: str) -> bool:
    return meant(path, word) in HELP[path].commands or (*path, word) in OF_LATER_RELEASES
