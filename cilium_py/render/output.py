"""The -o option: which format, and for jsonpath its template."""

from __future__ import annotations

from dataclasses import dataclass

from cilium_py.errors import WrongUsage

FORMATS = ("text", "table", "json", "jsonl", "yaml", "csv", "jsonpath")


@dataclass(frozen=True)
class Output:
    format: str = "text"
    template: str = ""
    """The template of jsonpath."""
    compat: bool = False
    """Print what cilium-dbg 1.18 prints, to the byte."""

    @classmethod
    def parse(cls, text: str | None, compat: bool = False) -> Output:
        """Of the -o argument. Raises WrongUsage."""
        if not text:
            return cls(compat=compat)
        name, equals, template = text.partition("=")
        if name not in FORMATS or (name == "jsonpath") != bool(equals):
            raise WrongUsage(f"-o {text}: no such format", f"one of {', '.join(FORMATS[:-1])}, jsonpath=TEMPLATE")
        return cls(name, template, compat)

    @property
    def is_text(self) -> bool:
        return self.format == "text"
