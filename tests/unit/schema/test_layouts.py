"""Every layout of every map file against the C structs of Cilium 1.18 and the recorded layouts of its maps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from cilium_py import maps
from cilium_py.schema import Layout, Pad, Source, Struct
from cilium_py.schema.mapdef import InnerMap
from cilium_py.table import places

MODULES = [import_module(f"{maps.__name__}.{module.name}") for module in iter_modules(maps.__path__)]
STRUCTS = sorted(
    {
        value
        for module in MODULES
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Struct) and value is not Struct
    },
    key=lambda struct: (struct.__module__, struct.__qualname__),
)
WITH_C = [struct for struct in STRUCTS if struct.c_struct]
DEFINITIONS = [module.MAP for module in MODULES if hasattr(module, "MAP")]


def name(struct: type[Struct]) -> str:
    return f"{struct.__module__.rpartition('.')[2]}.{struct.__qualname__}"


@cache
def reference(shared: Path) -> Any:
    """C name -> struct: those that Cilium's alignment checker names, and those of its maps."""
    structs = json.loads((shared / "reference/structs-1.18.json").read_text())
    for recorded in recorded_maps(shared).values():
        for side in (recorded["key"], recorded["value"]):
            c_struct = side.get("c_struct", "__")
            if not c_struct.startswith("__"):
                structs.setdefault(c_struct, {"size": side["size"], "fields": side["fields"]})
    return structs


@cache
def recorded_maps(shared: Path) -> dict[str, Any]:
    recorded = json.loads((shared / "golden/layouts.json").read_text())["maps"]
    return {entry["name"]: entry for entry in recorded}


def c_places(structs: Any, struct: Any, start: int = 0) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """(name, (byte, bit, bits)) of each field; those of a struct within under their own names too."""
    for field in struct["fields"]:
        bits, first = field.get("bits") or field["size"] * 8, field.get("bit_offset", 0)
        if isinstance(bits, str):
            first, bits = map(int, bits.split(":"))
        place = (start + field["offset"], first, bits)
        yield field["name"], place
        if field.get("type") in structs:
            yield from c_places(structs, structs[field.get("type")], place[0])


@pytest.mark.parametrize("struct", WITH_C, ids=name)
def test_like_the_c_struct(shared: Path, struct: type[Struct]) -> None:
    structs = reference(shared)
    recorded = structs[struct.c_struct]
    assert struct.size == recorded["size"]
    by_name = {}
    for field, place in c_places(structs, recorded):
        by_name.setdefault(field, []).append(place)
    where = {place for places_of_one in by_name.values() for place in places_of_one}
    for field, place in places(struct).items():
        # Of our name for what C has as a union or a nested struct, the place must exist.
        known = by_name.get(field, where)
        assert place in known or covers(place, where), f"C has nothing at {field}'s place"


def covers(place: tuple[int, int, int], where: set[tuple[int, int, int]]) -> bool:
    """Whether the fields of C within a place fill it."""
    start, end = place[0] * 8 + place[1], place[0] * 8 + place[1] + place[2]
    inside = [(byte * 8 + bit, bits) for byte, bit, bits in where if start <= byte * 8 + bit < end]
    return bool(inside) and all(first + bits <= end for first, bits in inside)


@pytest.mark.parametrize("struct", STRUCTS, ids=name)
def test_padding_is_written_out(struct: type[Struct]) -> None:
    assert sum(member.size for member in struct.members) == struct.size == struct.format.size
    assert struct().pack() == bytes(struct.size)


def sources() -> list[tuple[str, Source[Any]]]:
    """Every source of every module, the ones beside the definition (of a cluster) too."""
    found = []
    for module in MODULES:
        for value in vars(module).values():
            group = value if isinstance(value, tuple) else (value,)
            found += [(module.__name__, each) for each in group if isinstance(each, Source)]
    found += [(".".join(definition.command), each) for definition in DEFINITIONS for each in definition.sources]
    return list({each.pin: (module, each) for module, each in found}.values())


@pytest.mark.parametrize(("where", "source"), sources(), ids=lambda value: getattr(value, "pin", ""))
def test_like_the_recorded_map(shared: Path, where: str, source: Source[Any]) -> None:
    """A source whose pin Cilium 1.18 has knows the type and the sizes of that map, byte orders included."""
    recorded = recorded_maps(shared).get(source.pin.replace("{}", ""))
    if recorded is None:
        return
    fitting = [each for each in source.layouts if sizes(each) == (recorded["key_size"], recorded["value_size"])]
    assert fitting, f"{where}: no layout of {recorded['key_size']}/{recorded['value_size']} bytes"
    assert all(recorded["type"] in each.kind.value for each in fitting), f"{where}: the map is a {recorded['type']}"
    assert any(same_orders(each, recorded) for each in fitting)


def sizes(layout: Layout[Any]) -> tuple[int, int]:
    return layout.key.size, layout.value.size


def same_orders(layout: Layout[Any], recorded: Any) -> bool:
    """Whether each integer has the byte order that C gives it. (What Go's types say of it is less sure.)"""
    for struct, side in ((layout.key, recorded["key"]), (layout.value, recorded["value"])):
        orders = {
            (f["offset"], f["size"]): f["endian"]
            for f in side.get("fields", ())
            if "c_type" in f and "union_member" not in f
        }
        for member in struct.members:
            order = orders.get((member.offset, member.size))
            if order in ("big", "little") and hasattr(member.kind, "big") and member.kind.big != (order == "big"):
                return member.size == 1
    return True


def release_order(release: str) -> list[int]:
    return [int(number) for number in release.removesuffix("-dev").split(".")]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: " ".join(definition.command))
def test_definition_is_whole(definition: Any) -> None:
    """A row has the fields that every layout's decode makes, a source no two layouts of one name."""
    assert definition.summary[0].isupper() or definition.summary.startswith("ip-masq")
    assert not definition.summary.endswith(".")
    for source in definition.sources:
        releases = [each.release for each in source.layouts]
        assert len(set(releases)) == len(releases)
        assert releases == sorted(releases, key=release_order, reverse=True)
        for each in source.layouts:
            row = each.decode(each.key(), [] if each.value is InnerMap else each.value())
            assert type(row) is definition.row


def test_a_struct_names_its_fields_once() -> None:
    for struct in STRUCTS:
        names = [m.name for m in struct.members if not isinstance(m.kind, Pad)]
        assert len(names) == len(set(names)), name(struct)
