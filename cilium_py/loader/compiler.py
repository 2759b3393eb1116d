"""Building an object from source by an external compiler, for those who do not take the prebuilt one."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cilium_py.errors import CiliumPyError, CompilationFailed, LibraryMissing, said

FLAGS = ("-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Wextra", "-Werror")
TIMEOUT = 120


@dataclass(frozen=True)
class Compiler:
    """`clang`, or `clang -emit-llvm` and `llc`, as commands; and where the source is."""

    source: Path
    clang: str
    llc: str | None = None

    @classmethod
    def find(cls, source: Path | None = None, llc: bool = False) -> Compiler:
        """Look for the tools in PATH (CLANG and LLC name others) and for the source. Raises LibraryMissing."""
        directory = source or source_directory()
        if not (directory / "bpf_lxc.c").is_file():
            raise LibraryMissing(
                f"{directory / 'bpf_lxc.c'}: no source to compile",
                hint="compiling needs a checkout; without --compile the prebuilt object is used",
            )
        return cls(
            directory,
            _tool(os.environ.get("CLANG"), ("clang-19", "clang"), "clang-19"),
            _tool(os.environ.get("LLC"), ("llc-19", "llc"), "llvm-19") if llc else None,
        )

    @property
    def fingerprint(self) -> bytes:
        """What decides the result: the source files, the tools and their flags."""
        files = sorted([*self.source.glob("*.c"), *self.source.glob("lib/*.h")])
        tools = " ".join([self.clang, self.llc or "", *FLAGS])
        return tools.encode() + b"".join(path.read_bytes() for path in files)

    def build(self, header: Path, output: Path) -> None:
        """Compile the endpoint program with a configuration header. Raises CiliumPyError with the compiler's words."""
        common = [self.clang, *FLAGS, *_includes(), "-include", str(header), "-c", "bpf_lxc.c"]
        if self.llc is None:
            _run([*common, "-o", str(output)], self.source)
            return
        bitcode = output.with_suffix(".bc")
        _run([*common, "-emit-llvm", "-o", str(bitcode)], self.source)
        _run([self.llc, "-march=bpf", "-mcpu=v3", "-filetype=obj", "-o", str(output), str(bitcode)], self.source)
        bitcode.unlink()


def source_directory() -> Path:
    """The C source beside a checkout's package."""
    return Path(__file__).resolve().parent.parent.parent / "bpf_src"


def _includes() -> list[str]:
    """<asm/types.h> lies in a directory of the machine's own, which clang does not search for another target."""
    own = Path("/usr/include") / f"{os.uname().machine}-linux-gnu"
    return ["-I.", *(["-isystem", str(own)] if own.is_dir() else [])]


def _tool(named: str | None, names: tuple[str, ...], package: str) -> str:
    found = next((path for name in ((named,) if named else names) if (path := shutil.which(name))), None)
    if found is None:
        raise LibraryMissing(
            f"{named or names[-1]}: no such compiler", hint=f"apt install {package}, or leave --compile out"
        )
    return found


def _run(command: list[str], directory: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CiliumPyError(f"{command[0]}: {said(error)}") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "error:" in line] or done.stderr.splitlines()[-1:]
        why = lines[0] if lines else f"exit {done.returncode}"
        raise CompilationFailed(f"{Path(command[0]).name}: {why}", done.stderr)
