"""A systemd unit that keeps the prober running."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from cilium_py.node.config import FILE
from cilium_py.paths import NodePaths

TEMPLATE = """\
[Unit]
Description=Health prober of the Cilium node at {state_dir}
Wants=network-online.target
After=network-online.target
ConditionPathExists={state_dir}/{file}

[Service]
ExecStart={command}
Restart=always
RestartSec=2s
# The responder of the health endpoint outlives the prober.
KillMode=process
LimitNOFILE=16384
CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN CAP_SYS_ADMIN CAP_BPF CAP_PERFMON
CapabilityBoundingSet=CAP_SYS_RESOURCE CAP_KILL CAP_DAC_OVERRIDE
ProtectHome=read-only

[Install]
WantedBy=multi-user.target
"""


def text(paths: NodePaths, program: Sequence[str], arguments: Sequence[str]) -> str:
    """The unit of a prober of this node; arguments are those of `health run`."""
    where = ["--bpf-root", str(paths.bpf_root), "--state-dir", str(paths.state_dir)]
    command = shlex.join([*program, *where, "health", "run", *arguments]).replace("%", "%%").replace("$", "$$")
    return TEMPLATE.format(state_dir=paths.state_dir, file=FILE, command=command)
