"""The house: every package is listed, the layers hold, start-up stays light."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = ("numpy", "rich", "pyroute2", "yaml", "tabulate", "asyncio", "http")


def packages_on_disk() -> set[str]:
    """Every folder below cilium_py (through its two links) that holds an __init__.py."""
    found = {"cilium_py"}
    for path in [CHECKOUT / "cilium_py", CHECKOUT / "cilium_py/cli", CHECKOUT / "cilium_py/maps"]:
        for init in path.rglob("__init__.py"):
            found.add(".".join(init.parent.relative_to(CHECKOUT).parts))
    return found


def test_every_package_is_listed() -> None:
    listed = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == packages_on_disk()


@pytest.mark.parametrize("name", ["cli", "maps"])
def test_links_lead_to_the_folders(name: str) -> None:
    link = CHECKOUT / "cilium_py" / name
    assert link.is_symlink()
    assert link.resolve() == CHECKOUT / name


def modules_after(*arguments: str) -> set[str]:
    """Top-level names of every module that a command has imported when it ends."""
    program = (
        "import sys\n"
        "from cilium_py.cli.main import cilium_py, run\n"
        f"run(lambda: cilium_py.main({list(arguments)!r}, prog_name='cilium-py', standalone_mode=False))\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("bpf", "--help"), ("bpf", "ct", "list", "--help"), ("bpf", "ipcache", "list"), ("endpoint", "list")],
    ids=" ".join,
)
def test_start_up_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert modules_after(*arguments).isdisjoint(HEAVY)


def test_heavy_modules_would_be_seen() -> None:
    assert "cilium_py" in modules_after("--help")
    assert "yaml" in modules_after("version", "-o", "yaml")


def test_wheel_carries_the_objects(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", tmp_path, CHECKOUT],
        check=True,
        capture_output=True,
    )  # fmt: skip
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    built = {f"cilium_py/objects/{path.name}" for path in (CHECKOUT / "cilium_py/objects").glob("*.o")}
    assert built
    assert built <= names
    assert {"cilium_py/cli/main.py", "cilium_py/maps/ct.py", "cilium_py/py.typed"} <= names
    assert not any(name.startswith(("cli/", "maps/", "tests/")) for name in names)
