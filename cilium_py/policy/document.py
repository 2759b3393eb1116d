"""Files of rules, JSON or YAML, as values that know where they stand: an error names the line and the field."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from cilium_py.errors import CiliumPyError

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 16 << 20
MOST_DEPTH = 64
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_TWO_ESCAPES = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][\da-fA-F]{2})\\u([dD][c-fC-F][\da-fA-F]{2})")
_WORDS = {"true": True, "True": True, "false": False, "False": False}
_NOTHING = ("", "~", "null", "Null", "NULL")


class WrongRule(CiliumPyError):
    """A file that is no set of rules: the message names file, line and field."""


@dataclass(frozen=True, slots=True)
class Value:
    """A piece of a file. `data` is a word, a number, a truth value, None, a list of Values, or a dict of them."""

    data: Any  # narrowed by the methods below
    file: str
    line: int
    path: str = ""

    def wrong(self, message: str, hint: str | None = None) -> NoReturn:
        place = f"{self.file}:{self.line}" if self.line else self.file
        raise WrongRule(f"{place}: {self.path + ': ' if self.path else ''}{message}", hint)

    def items(self) -> list[Value]:
        """The items of a list; null counts as an empty one."""
        if self.data is None:
            return []
        if not isinstance(self.data, list):
            self.wrong(f"must be a list, not {self.kind}")
        return self.data

    def mapping(self) -> dict[str, Value]:
        """Every field of a mapping; null counts as an empty one."""
        if self.data is None:
            return {}
        if not isinstance(self.data, dict):
            self.wrong(f"must be a mapping, not {self.kind}")
        return self.data

    def fields(self, known: Collection[str], refused: Mapping[str, str] | None = None) -> dict[str, Value]:
        """The fields of a mapping that has no others than these; `refused` says why some are not supported."""
        fields = self.mapping()
        for name, value in fields.items():
            if name in known:
                continue
            if refused and name in refused:
                value.wrong(f"not supported: {refused[name]}")
            from difflib import get_close_matches

            close = get_close_matches(name, known, 1)
            value.wrong("no such field", f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}")
        return fields

    def text(self) -> str:
        if not isinstance(self.data, str):
            self.wrong(f"must be text, not {self.kind}", "put it in quotes" if self.kind != "a list" else None)
        return self.data

    def flag(self) -> bool:
        if not isinstance(self.data, bool):
            self.wrong(f"must be true or false, not {self.kind}")
        return self.data

    def number(self, least: int, most: int) -> int:
        if not isinstance(self.data, int) or isinstance(self.data, bool) or not least <= self.data <= most:
            self.wrong(f"must be a number from {least} to {most}")
        return self.data

    def plain(self) -> Any:  # what json can write
        if isinstance(self.data, list):
            return [item.plain() for item in self.data]
        if isinstance(self.data, dict):
            return {name: value.plain() for name, value in self.data.items()}
        return self.data

    @property
    def kind(self) -> str:
        match self.data:
            case None:
                return "nothing"
            case bool():
                return "a truth value"
            case int() | float():
                return "a number"
            case str():
                return "text"
            case list():
                return "a list"
        return "a mapping"


def of_plain(data: Any, file: str, path: str = "") -> Value:  # data as json reads it
    """Values of what was read before, without lines."""
    if isinstance(data, list):
        data = [of_plain(item, file, f"{path}[{at}]") for at, item in enumerate(data)]
    elif isinstance(data, dict):
        data = {name: of_plain(value, file, _below(path, name)) for name, value in data.items()}
    return Value(data, file, 0, path)


def read(text: str, file: str) -> list[Value]:
    """The documents of a file. Raises WrongRule."""
    import yaml

    if len(text) > MOST_BYTES:
        raise WrongRule(f"{file}: larger than {MOST_BYTES >> 20} MiB")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    source = _json_as_yaml(text) if text.lstrip()[:1] in ("{", "[") else text
    try:
        # Event by event: composing a tree recurses, in C, as deep as a hostile file says.
        events = yaml.parse(source, Loader=loader)
        return [_build(event, events, file, "", 0) for event in events if not _frames(event)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}" if mark else file
        raise WrongRule(f"{place}: not YAML or JSON: {error.problem or error.context}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise WrongRule(f"{file}: not YAML or JSON: {error}") from error


def _json_as_yaml(text: str) -> str:
    """What JSON has and YAML has not: tabs, which stand between tokens only, and characters of two escapes."""

    def join(match: re.Match[str]) -> str:
        return match[1] + bytes.fromhex(match[2] + match[3]).decode("utf-16-be")

    return _TWO_ESCAPES.sub(join, text.replace("\t", " "))


def _frames(event: yaml.Event) -> bool:
    """Whether the event only marks where a document or the file begins or ends."""
    import yaml

    return isinstance(
        event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)
    )


def _build(event: yaml.Event, events: Iterator[yaml.Event], file: str, path: str, depth: int) -> Value:
    """The value that begins with this event."""
    import yaml

    here = Value(None, file, _line(event), path)
    if depth > MOST_DEPTH:
        here.wrong(f"nested deeper than {MOST_DEPTH} levels")
    data: Any
    match event:
        case yaml.ScalarEvent():
            data = _scalar(event, here)
        case yaml.SequenceStartEvent():
            data = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                data.append(_build(event, events, file, f"{path}[{len(data)}]", depth + 1))
        case yaml.MappingStartEvent():
            data = {}
            while not isinstance(event := next(events), yaml.MappingEndEvent):
                if not isinstance(event, yaml.ScalarEvent):
                    here.wrong("the name of a field must be text")
                name, at = event.value, _below(path, event.value)
                if name in data:
                    Value(None, file, _line(event), at).wrong("given twice")
                line = _line(event)
                value = _build(next(events), events, file, at, depth + 1)
                data[name] = Value(value.data, file, line, at)
        case _:
            here.wrong("aliases are not supported", "write the value out")
    return Value(data, file, here.line, path)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _scalar(event: yaml.ScalarEvent, here: Value) -> str | int | bool | None:
    text: str = event.value
    try:
        text.encode()
    except UnicodeEncodeError:
        here.wrong("half a character")
    if event.style not in (None, "") or (event.tag and event.tag.endswith(":str")):
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text in _NOTHING:
        return None
    return int(text) if _INTEGER.fullmatch(text) and len(text) < 20 else text


def _below(path: str, name: str) -> str:
    name = name if name.isprintable() and len(name) < 100 else repr(name)[:100]
    return f"{path}.{name}" if path else name
