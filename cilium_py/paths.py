"""Where a node keeps its state: one bpffs and one state directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

BPF_ROOT = Path("/sys/fs/bpf")
STATE_DIR = Path("/var/run/cilium/state")


@dataclass(frozen=True)
class NodePaths:
    """The two directories of a node and what lies where below them, as on a Cilium node."""

    bpf_root: Path = BPF_ROOT
    state_dir: Path = STATE_DIR

    @property
    def globals(self) -> Path:
        """The directory of the pinned maps."""
        return self.bpf_root / "tc" / "globals"

    @property
    def templates(self) -> Path:
        return self.state_dir / "templates"

    def endpoint(self, endpoint_id: int) -> Path:
        return self.state_dir / str(endpoint_id)

    def endpoint_next(self, endpoint_id: int) -> Path:
        """The work directory of a regeneration."""
        return self.state_dir / f"{endpoint_id}_next"

    def endpoint_failed(self, endpoint_id: int) -> Path:
        """The last failed regeneration, kept until the next success."""
        return self.state_dir / f"{endpoint_id}_next_fail"

    def endpoint_links(self, endpoint_id: int) -> Path:
        return self.bpf_root / "cilium" / "endpoints" / str(endpoint_id) / "links"
