"""Templates: one object for each configuration of a node's programs, shared by the endpoints that have it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cilium_py.errors import LibraryMissing
from cilium_py.paths import NodePaths

from . import header, state
from .header import Settings

if TYPE_CHECKING:
    from .compiler import Compiler

OBJECT = "bpf_lxc.o"


class Template(NamedTuple):
    """An object file and the hash of what it was made from."""

    hash: str
    object: Path


def prebuilt_object(name: str = OBJECT) -> Path:
    path = Path(__file__).parent.parent / "objects" / name
    if not path.exists():
        raise LibraryMissing(f"{path}: the object is not built", hint="run `make build`")
    return path


def prebuilt(paths: NodePaths, settings: Settings) -> Template:
    """The object that came with us; its header is written down so that `bpf sha get` can show it."""
    path = prebuilt_object()
    found = Template(configuration_hash(path.read_bytes(), settings), path)
    describe(paths, found.hash, settings, {"Object": path.name})
    return found


def describe(paths: NodePaths, configuration: str, settings: Settings, comments: dict[str, object]) -> None:
    """Write a template's header and the same as JSON, once."""
    directory = paths.templates / configuration
    if (directory / "ep_config.h").exists():
        return
    state.make_directory(paths.templates)
    state.make_directory(directory)
    plain = {name: value if isinstance(value, int) else value.hex() for name, value in sorted(settings.items())}
    state.write_json(directory / "ep_config.json", plain)
    state.write(directory / "ep_config.h", header.render(settings, comments))


def configuration_hash(source: bytes, settings: Settings) -> str:
    """What two endpoints share when their programs differ in nothing but the endpoint."""
    digest = hashlib.sha256(source)
    for name, value in sorted(settings.items()):
        digest.update(f"{name}={header.literal(value)}\n".encode())
    return digest.hexdigest()


def compiled(paths: NodePaths, settings: Settings, compiler: Compiler) -> Template:
    """The object that the compiler makes of the source, once for each configuration."""
    configuration = configuration_hash(compiler.fingerprint, settings)
    directory = paths.templates / configuration
    found = Template(configuration, directory / OBJECT)
    if found.object.exists():
        return found
    describe(paths, configuration, settings, {"Compiler": compiler.clang})
    work = directory / f".{OBJECT}.{os.getpid()}.o"
    try:
        compiler.build(directory / "ep_config.h", work)
        work.rename(found.object)
    except BaseException:
        state.remove_directory(directory)
        raise
    return found
