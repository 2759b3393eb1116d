"""What a lab consists of, written down before it is made, so that whatever there is of it can be found again."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.loader import state
from cilium_py.paths import NodePaths

DEFAULT_ROOT = Path("/run/cilium-py/lab")
DEFAULT_PREFIX = "cpy-"
MOST_NODES, MOST_PODS = 100, 200

_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,15}")


@dataclass(frozen=True)
class Pod:
    """A pod and, once it is made, its endpoint on its node."""

    name: str
    node: str
    endpoint: int = 0
    ipv4: str = ""
    ipv6: str = ""


@dataclass(frozen=True)
class Lab:
    """A lab below a root directory. The prefix keeps its namespaces apart from those of others."""

    root: Path = DEFAULT_ROOT
    prefix: str = DEFAULT_PREFIX
    node_names: tuple[str, ...] = ()
    pods: tuple[Pod, ...] = ()
    ipv4: bool = True
    ipv6: bool = True
    options: dict[str, int] = field(default_factory=dict)
    """Switches of the nodes' programs that differ from the default, by name."""
    attach: str = "auto"
    complete: bool = False
    """Whether `up` came to its end."""

    @classmethod
    def planned(
        cls,
        nodes: int = 1,
        pods: int = 2,
        *,
        root: Path = DEFAULT_ROOT,
        prefix: str = DEFAULT_PREFIX,
        ipv4: bool = True,
        ipv6: bool = True,
        options: dict[str, int] | None = None,
        attach: str = "auto",
    ) -> Lab:
        """A lab of so many nodes with so many pods on each, not made yet."""
        if not 1 <= nodes <= MOST_NODES or not 0 <= pods <= MOST_PODS:
            raise WrongUsage(f"a lab has 1 to {MOST_NODES} nodes and 0 to {MOST_PODS} pods on each")
        if not _PREFIX.fullmatch(prefix):
            raise WrongUsage(f"{prefix!r}: not a prefix for the names of namespaces")
        if not ipv4 and not ipv6:
            raise WrongUsage("a lab without IPv4 and IPv6 has nothing to show")
        names = tuple(f"node{n}" for n in range(1, nodes + 1))
        placed = tuple(
            Pod(f"pod{number * pods + n}", node) for number, node in enumerate(names) for n in range(1, pods + 1)
        )
        return cls(root, prefix, names, placed, ipv4, ipv6, options or {}, attach)

    @classmethod
    def find(cls, root: Path = DEFAULT_ROOT) -> Lab | None:
        """The lab below the root, complete or not; None if there is none."""
        path = root / "lab.json"
        try:
            document = json.loads(path.read_text())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise CiliumPyError(f"{path}: not a lab: {error}") from error
        try:
            return cls(
                **{
                    **document,
                    "root": root,
                    "node_names": tuple(document["node_names"]),
                    "pods": tuple(Pod(**pod) for pod in document["pods"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise CiliumPyError(f"{path}: not a lab: {error}") from error

    @classmethod
    def running(cls, root: Path = DEFAULT_ROOT) -> Lab:
        """The lab below the root. Raises CiliumPyError if there is none, or if it is not complete."""
        found = cls.find(root)
        if found is None:
            raise CiliumPyError("no lab is running", hint="cilium-py lab up")
        if not found.complete:
            raise CiliumPyError("the lab was not made to its end", hint="cilium-py lab up cleans up and starts anew")
        return found

    def save(self) -> None:
        state.make_directory(self.root)
        state.write_json(self.root / "lab.json", {**asdict(self), "root": str(self.root)})

    def paths(self, node: str) -> NodePaths:
        """Where a node of the lab keeps its maps and its state."""
        return NodePaths(self.root / node / "bpf", self.root / node / "state")

    def pod(self, name: str) -> Pod:
        found = next((pod for pod in self.pods if pod.name == name), None)
        if found is None:
            known = ", ".join(pod.name for pod in self.pods)
            raise WrongUsage(f"{name}: no such pod in the lab", hint=f"there are {known}")
        return found

    def pods_of(self, node: str) -> list[Pod]:
        return [pod for pod in self.pods if pod.node == node]

    def netns(self, name: str) -> str:
        """The name of the namespace of a node, a pod, or the network between the nodes (`net`)."""
        return f"{self.prefix}{name}"

    def health_netns(self, node: str) -> str:
        """The name of the namespace of a node's health endpoint, which need not be there."""
        return f"{self.netns(node)}-health"

    @property
    def etc(self) -> Path:
        """Files that nodes and pods see in /etc."""
        return self.root / "etc"

    @property
    def lock(self) -> Path:
        """The lock that whoever makes or removes the lab holds."""
        return self.root.with_name(f".{self.root.name}.lock")

    @property
    def identities(self) -> Path:
        """The identities that all nodes share, as those of a cluster do."""
        return self.root / "identities"

    @property
    def roster(self) -> Path:
        """The directory of the list of nodes that all nodes share."""
        return self.root / "roster"


def nodes(root: Path = DEFAULT_ROOT) -> dict[str, NodePaths]:
    """The nodes of the running lab, in order; empty if none is running."""
    try:
        found = Lab.find(root)
    except (CiliumPyError, PermissionError):
        return {}
    return {name: found.paths(name) for name in found.node_names} if found and found.complete else {}
