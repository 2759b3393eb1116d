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
    ("bandwidth",): Help("BPF datapath bandwidth settings", {"list": "List BPF datapath bandwidth settings"}),
    ("ct",): Help("Connection tracking tables", {
        "flush": "Flush all connection tracking entries",
        "list": "List connection tracking entries",
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
    ("sha", "get"): Help(
        "Get datapath SHA header", aliases="describe", arguments="<sha>",
        flags=("-o, --output string   json| yaml| jsonpath='{}'",),
    ),
}  # fmt: skip
OTHER_NAMES = {
    ("ct",): {"ls"}, ("lb", "maglev"): {"ls"}, ("multicast",): {"sub"}, ("metrics",): {"flush"},
}  # fmt: skip
"""Words that are no commands of the help but are understood."""


def instead_of(words: Sequence[str], known: Sequence[str]) -> str | None:
    """The help that cilium-dbg prints for the words behind `bpf`, or None; `known` are the groups that there are."""
    path = tuple(words)
    if path == ("sha", "get"):
        return HELP[path].text("cilium-dbg bpf sha get")
    if not path or (path[0] not in known and not path[0].startswith("-")):
        return HELP[()].text("cilium-dbg bpf")
    for group in (path[:1], path[:2]):
        help = HELP.get(group)
        if help is None or not help.commands:
            continue
        rest = path[len(group) : len(group) + 1]
        if not rest or not (rest[0].startswith("-") or rest[0] in {*help.commands, *OTHER_NAMES.get(group, ())}):
            return help.text(" ".join(("cilium-dbg bpf", *group)))
    return None
