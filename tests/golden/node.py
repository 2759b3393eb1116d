"""A node as the corpus had it: its maps, state directory and clock, in namespaces of one child process."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cilium_py.bpf.map import BpfMap

CLONE_NEWNS, CLONE_NEWTIME, CLONE_NEWNET = 0x20000, 0x80, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18
BPFFS, STATE = Path("/sys/fs/bpf"), Path("/run/cilium/state")
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass
class Outcome:
    """What a command wrote, how it ended, and what it did to the maps: per pin (deleted keys, set entries)."""

    stdout: str = ""
    stderr: str = ""
    code: int = 0
    changes: dict[str, tuple[list[str], list[list[Any]]]] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)


@cache
def module(path: Path) -> ModuleType:
    """A file of the corpus, as a Python module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@cache
def _import_once() -> None:
    """Import here, before the forks, what every command imports."""
    for name in ("cli.main", "cli.bpf", "cli.family", "bpf.map", "render.compat"):
        importlib.import_module(f"cilium_py.{name}")


def run(corpus: Path, maps: list[str], arguments: list[str], surroundings: dict[str, Any] | None = None) -> Outcome:
    """Run `cilium-py ARGUMENTS` on a node with these maps of the corpus. The child takes all it made with it."""
    _import_once()
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        code = 1
        try:
            outcome = _on_node(corpus, maps, arguments, surroundings or {})
            with os.fdopen(send, "wb") as stream:
                pickle.dump(outcome, stream)
            code = 0
        except BaseException as error:
            print(f"golden: {type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(code)
    os.close(send)
    with os.fdopen(receive, "rb") as stream:
        data = stream.read()
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError("the node could not be made; see stderr")
    outcome = pickle.loads(data)
    assert isinstance(outcome, Outcome)
    return outcome


def _on_node(corpus: Path, maps: list[str], arguments: list[str], env: dict[str, Any]) -> Outcome:
    _mounts(env)
    loader = module(corpus / "load_golden.py")
    pins = Path(env.get("bpffs") or BPFFS) / "tc/globals"
    if maps:
        loader.load_corpus(str(corpus), str(pins), only=maps)
    for path, text in env.get("files", {}).items():
        target = Path(path)
        target.mkdir(parents=True) if path.endswith("/") else target.parent.mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            target.write_text(text)
    for name, index in env.get("links", ()):
        _unshare(CLONE_NEWNET)
        subprocess.run(["ip", "link", "add", name, "index", str(index), "type", "veth"], check=True)
    before = _entries(pins)
    if "monotonic" in env:
        _unshare(CLONE_NEWTIME)
        seconds, nanoseconds = divmod(env["monotonic"] * 10**9 - time.monotonic_ns(), 10**9)
        Path("/proc/self/timens_offsets").write_text(f"monotonic {seconds} {nanoseconds}\n")
    outcome = _command(arguments, env)
    after = _entries(pins)
    for pin in sorted(before.keys() & after.keys()):
        deleted = sorted(before[pin].keys() - after[pin].keys())
        changed = sorted([k, v] for k, v in after[pin].items() if before[pin].get(k) != v)
        if deleted or changed:
            outcome.changes[pin] = deleted, changed
    outcome.created = sorted(after.keys() - before.keys())
    return outcome


def _mounts(env: dict[str, Any]) -> None:
    _unshare(CLONE_NEWNS)
    _mount("none", "/", None, MS_REC | MS_PRIVATE)
    _mount("run", "/run", "tmpfs")
    STATE.mkdir(parents=True)
    if "schedstat" in env:
        behind = Path("/run/proc")
        behind.mkdir()
        _mount("/proc", behind, None, MS_BIND | MS_REC)
        _mount("proc", "/proc", "tmpfs")
        Path("/proc/self").symlink_to(behind / "self")
        Path("/proc/schedstat").write_text(f"version 15\ntimestamp {env['schedstat']}\n")
    bpffs = env.get("bpffs", BPFFS)
    if bpffs is not None:
        Path(bpffs).mkdir(parents=True, exist_ok=True)
        _mount("bpf", bpffs, "bpf")


def _command(arguments: list[str], env: dict[str, Any]) -> Outcome:
    """In a grandchild: it is the one that sees the other clock, and it may give up being root."""
    out, err = os.memfd_create("stdout"), os.memfd_create("stderr")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            sys.stdout = os.fdopen(1, "w", closefd=False)
            sys.stderr = os.fdopen(2, "w", closefd=False)
            os.environ["TZ"] = env.get("tz", "UTC")
            time.tzset()
            if "uid" in env:
                os.setgid(env["uid"])
                os.setuid(env["uid"])
            from cilium_py.cli.main import main

            main(arguments)
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
            code = 70
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return Outcome(_content(out), _content(err), os.waitstatus_to_exitcode(status))


def _content(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read().decode()


def _entries(pins: Path) -> dict[str, dict[str, Any]]:
    """Pin -> hex key -> value of every map."""
    from cilium_py.bpf.map import BpfMap

    found: dict[str, dict[str, Any]] = {}
    for path in sorted(pins.iterdir()) if pins.is_dir() else ():
        with BpfMap.open(path, read_only=True) as opened:
            if opened.info.type_name in ("prog_array", "perf_event_array"):
                continue
            found[path.name] = {bytes(k).hex(): _value(opened, k, v) for k, v in opened.entries()}
    return found


def _value(opened: BpfMap, key: bytes, value: bytes) -> Any:
    """As the corpus has it: hex, the sorted values of an inner map, or the values of all CPUs, alike ones once."""
    if opened.info.type_name in ("array_of_maps", "hash_of_maps"):
        inner = opened.inner(key)
        assert inner is not None
        with inner:
            return sorted([bytes(k).hex(), bytes(v).hex()] for k, v in inner.entries())
    if opened.per_cpu:
        return sorted({each.hex() for each in opened.split(value)})
    return bytes(value).hex()


def _unshare(flags: int) -> None:
    if LIBC.unshare(flags):
        raise OSError(ctypes.get_errno(), "unshare")


def _mount(source: str, target: str | Path, kind: str | None, flags: int = 0) -> None:
    if LIBC.mount(source.encode(), os.fsencode(target), kind and kind.encode(), ctypes.c_ulong(flags), None):
        raise OSError(ctypes.get_errno(), f"mount {target}")


def cases(corpus: Path) -> list[dict[str, Any]]:
    found = json.loads((corpus / "index.json").read_text())["cases"]
    assert isinstance(found, list)
    return found
