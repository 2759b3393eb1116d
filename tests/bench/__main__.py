"""Run the benchmarks named on the command line, or all, and put their sections into docs/benchmarks.md."""

from __future__ import annotations

import importlib
import os
import pkgutil
import platform
import re
import sys
from pathlib import Path

from tests import bench

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
HEAD = """\
# Benchmarks

Written by `make bench`; one section alone: `.venv/bin/python -m tests.bench NAME`. Each section compares figures of
one run on one machine: read the ratios, the times are those of a small virtual machine.
"""
HELPERS = {"__main__", "fill", "measure"}


def machine() -> str:
    cpus = os.cpu_count()
    kernel, python = platform.release().split("-")[0], platform.python_version()
    return f"Linux {kernel}, {platform.machine()}, {cpus} CPUs, Python {python}"


def section(name: str, title: str, body: str) -> str:
    return f"<!-- {name} -->\n## {title}\n\n{body.strip()}\n\n{machine()}.\n<!-- /{name} -->\n"


def put(document: str, name: str, text: str) -> str:
    """The document with this section replaced, or added at its end."""
    pattern = re.compile(f"<!-- {name} -->.*?<!-- /{name} -->\n", re.DOTALL)
    if pattern.search(document):
        return pattern.sub(lambda _: text, document)
    return f"{document.rstrip()}\n\n{text}"


def main(wanted: list[str]) -> int:
    names = [m.name for m in pkgutil.iter_modules(bench.__path__) if m.name not in HELPERS]
    unknown = set(wanted) - set(names)
    if unknown:
        print(f"error: no benchmark {', '.join(sorted(unknown))}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    for name in wanted or names:
        print(f"== {name}", file=sys.stderr)
        module = importlib.import_module(f"tests.bench.{name}")
        text = section(name, module.TITLE, module.run())
        print(text)
        document = DOCUMENT.read_text() if DOCUMENT.exists() else HEAD
        DOCUMENT.write_text(put(document, name, text))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
