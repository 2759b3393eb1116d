"""Kernel settings below /proc/sys/net, of the network namespace the calling thread is in."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/proc/sys/net")


def write(setting: str, value: int | str) -> None:
    """Set e.g. `ipv4/ip_forward`. The parts are divided by slashes, since an interface name may hold dots."""
    (ROOT / setting).write_text(f"{value}\n")


def read(setting: str) -> str:
    return (ROOT / setting).read_text().strip()


def has_ipv6() -> bool:
    """Whether the kernel has IPv6."""
    return (ROOT / "ipv6").is_dir()
