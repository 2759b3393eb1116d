"""Templates in the state directory: which configuration of the programs each endpoint runs."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from cilium_py.errors import CiliumPyError, WrongUsage, advice, said
from cilium_py.loader import state
from cilium_py.paths import NodePaths

NAMED = "template.txt"
"""A file of an endpoint's directory that says which template its programs were made from."""
HEADER, DOCUMENT = "ep_config.h", "ep_config.json"


class TemplateUse(NamedTuple):
    sha: str
    """Empty for endpoints that name no template, or one that is not there."""
    endpoints: list[int]
    problem: str = ""


def uses(paths: NodePaths) -> list[TemplateUse]:
    """Every template with its endpoints, and the endpoints that have none. Raises CiliumPyError without templates."""
    try:
        known = sorted(path.name for path in paths.templates.iterdir() if path.is_dir())
    except OSError as error:
        raise CiliumPyError(said(error), advice(error) or "no endpoint was made on this node") from error
    users: dict[str, list[int]] = {sha: [] for sha in known}
    unnamed: list[int] = []
    dangling: list[int] = []
    for directory in paths.state_dir.iterdir():
        if not directory.name.isdecimal() or not directory.is_dir():
            continue
        sha = named_template(directory)
        (unnamed if sha is None else users.get(sha, dangling)).append(int(directory.name))
    found = [TemplateUse(sha, sorted(endpoints)) for sha, endpoints in users.items()]
    for endpoints, problem in ((unnamed, f"missing {NAMED}"), (dangling, "template path invalid")):
        if endpoints:
            found.append(TemplateUse("", sorted(endpoints), problem))
    return found


def names(paths: NodePaths) -> dict[str, list[str]]:
    """What cilium-dbg lists: a template, or what is wrong -> the directories of endpoints. Raises CiliumPyError."""
    try:
        found: dict[str, list[str]] = {path.name: [] for path in paths.templates.iterdir()}
    except OSError as error:
        raise CiliumPyError(said(error), advice(error) or "no endpoint was made on this node") from error
    for directory in sorted(paths.state_dir.iterdir()):
        if directory.is_symlink() or not directory.is_dir() or not re.fullmatch(r"[+-]?[0-9]{1,18}", directory.name):
            continue
        sha = named_template(directory)
        if sha is None:
            sha = f"<missing {NAMED}>"
        elif not (paths.templates / sha).exists():
            sha = "<template path invalid>"
        found.setdefault(sha, []).append(directory.name)
    return found


def prune(paths: NodePaths) -> list[str]:
    """Remove the templates that no endpoint names, not even by a build that is under way; return which."""
    with locked(paths):
        try:
            known = {path.name for path in paths.templates.iterdir() if path.is_dir()}
        except FileNotFoundError:
            return []
        unused = sorted(known - {named_template(path) for path in paths.state_dir.iterdir() if path.name[0].isdigit()})
        for sha in unused:
            state.remove_directory(paths.templates / sha)
    return unused


def locked(paths: NodePaths) -> AbstractContextManager[None]:
    """Hold the lock of whoever makes a template and names it, or removes the unnamed."""
    return state.locked(paths.state_dir / "locks" / "templates")


def named_template(directory: Path) -> str | None:
    try:
        return (directory / NAMED).read_text(errors="replace").strip()
    except OSError:
        return None


def read(paths: NodePaths, sha: str, name: str) -> bytes:
    """A file of a template. Raises WrongUsage for what cannot be the name of one."""
    if not re.fullmatch(r"[0-9A-Za-z]{1,128}", sha):
        raise WrongUsage(f"{sha!r} is no name of a template", "bpf sha list shows them")
    path = paths.templates / sha / name
    try:
        return path.read_bytes()
    except OSError as error:
        raise CiliumPyError(said(error), advice(error) or "bpf sha list shows the templates that there are") from error
