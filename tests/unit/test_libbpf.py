"""How failures of libbpf and the kernel are told, without either."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cilium_py.errors import LibraryMissing
from cilium_py.libbpf import ENOTSUPP, Library, VerifierError, library
from cilium_py.libbpf.checkers import failure, negative_is_errno, negative_is_errno_of, null_is_errno_of
from cilium_py.libbpf.signatures import SIGNATURES
from tests.features import lacking


def named(name: str) -> SimpleNamespace:
    return SimpleNamespace(__name__=name)


@pytest.mark.parametrize(
    ("code", "path", "kind", "text"),
    [
        (errno.ENOENT, "/a", FileNotFoundError, "[Errno 2] look: No such file or directory: '/a'"),
        (errno.EPERM, Path("/a"), PermissionError, "[Errno 1] look: Operation not permitted: '/a'"),
        (errno.EACCES, b"/a\xff", PermissionError, r"[Errno 13] look: Permission denied: '/a\udcff'"),
        (ENOTSUPP, None, OSError, "[Errno 524] look: Operation not supported here (ENOTSUPP)"),
        (4001, None, OSError, "[Errno 4001] look: BPF object format invalid"),
    ],
)
def test_failure(code: int, path: str | bytes | Path | None, kind: type[OSError], text: str) -> None:
    error = failure(code, "look", path)
    assert type(error) is kind
    assert str(error) == text


def test_checkers_pass_results_on() -> None:
    assert negative_is_errno(3, named("f"), ()) == 3
    assert negative_is_errno_of(0)(0, named("f"), ("/a",)) == 0
    assert null_is_errno_of(0)(4096, named("f"), ("/a",)) == 4096
    with pytest.raises(FileNotFoundError, match="f: No such file or directory: '/a'"):
        negative_is_errno_of(1)(-2, named("f"), (3, Path("/a")))


LOG = """0: R1=ctx() R10=fp0
; return *(__u8 *)(long)ctx->data;
0: (61) r1 = *(u32 *)(r1 +76)
1: (71) r0 = *(u8 *)(r1 +0)
invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)
R1 offset is outside of the packet
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
"""


def test_verifier_error_is_one_line_of_many() -> None:
    error = VerifierError(errno.EACCES, "cil_from_container", LOG)
    assert error.log == LOG
    assert error.strerror == (
        "load cil_from_container: Permission denied: 0: (61) r1 = *(u32 *)(r1 +76) | 1: (71) r0 = *(u8 *)(r1 +0)"
        " | invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0) | R1 offset is outside of the packet"
        " (3 lines omitted)"
    )
    assert VerifierError(errno.E2BIG, "p", "too big").strerror == "load p: Argument list too long: too big"


def test_a_missing_library_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[library.__module__], "NAME", "libabsent.so.9")
    with pytest.raises(LibraryMissing, match=r"libabsent\.so\.9 cannot be loaded") as caught:
        library.__wrapped__()
    assert caught.value.hint is not None
    assert "apt install libbpf1" in caught.value.hint
    assert "dnf install libbpf" in caught.value.hint


def test_a_missing_function_names_the_version() -> None:
    class Old:
        pass

    old = Library(Old())  # type: ignore[arg-type]
    with pytest.raises(LibraryMissing, match="no function bpf_map_create") as caught:
        _ = old.bpf_map_create
    assert caught.value.hint == "libbpf 1.1 or newer is needed"
    with pytest.raises(AttributeError):
        _ = old.no_such_function


def test_the_library_has_every_function_of_the_table() -> None:
    try:
        loaded = library()
    except LibraryMissing:
        lacking("libbpf")
    for name in SIGNATURES:
        assert getattr(loaded, name).argtypes is SIGNATURES[name].arguments or SIGNATURES[name].arguments == ()


def test_importing_loads_nothing() -> None:
    script = (
        "import sys, cilium_py.bpf.map, cilium_py.bpf.object, cilium_py.bpf.link; print(open('/proc/self/maps').read())"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=os.environ)
    assert "libbpf" not in run.stdout
