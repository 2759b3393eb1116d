"""jsonpath over lists and objects of any size: the text of a small one, made while it is read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cilium_py.errors import Partial, WrongUsage
from cilium_py.render.jsonpath import evaluate, write
from cilium_py.render.jsonpath_root import Members, Rows
from cilium_py.render.spool import FIRST
from cilium_py.render.stream import CHUNK, as_it_is
from cilium_py.render.values import as_object
from cilium_py.schema import Address

MANY = (FIRST + 2) * CHUNK + 1
"""More than a spool has in memory."""


class Row(NamedTuple):
    name: str
    address: Address | None
    ports: list[int]


def row(number: int) -> Row:
    return Row(f"n{number}", bytes([10, 0, 0, number % 3]) if number % 4 else None, list(range(number % 3)))


def written(
    template: str, read: Iterable[Any], made: Callable[[Any], Any] = as_it_is, document: type[Rows] = Rows
) -> str:
    stream = io.BytesIO()
    try:
        write(stream, template, read, made, document)
    except WrongUsage:
        assert stream.getvalue() == b""
        raise
    return stream.getvalue().decode()


def made_of(template: str, document: Any) -> str | None:
    """What the template makes of a whole document; None if it does not fit."""
    try:
        return evaluate(template, document) + "\n"
    except WrongUsage:
        return None


PATHS = st.lists(
    st.sampled_from([
        ".name", ".address", ".ports", ".*", "..", "[*]", "[0]", "[-1]", "[1:]", "[:2]", "[::2]", "[0,1]", "[5]",
        "['name','ports']", "[?(@.ports)]", "[?(@.name=='n1')]", "[?(@.ports[0]==0)]", "[?(@>0)]", "'text'", "word",
    ]),
    max_size=3,
).map("".join)  # fmt: skip
STEPS = st.one_of(PATHS.map("{{{}}}".format), PATHS.map("{{range {}}}".format), st.sampled_from(["{end}", '{"\\n"}']))


@given(st.lists(STEPS, max_size=5).map("".join), st.integers(0, 4))
@example("{range [*]}{}", 1)
@example("{range @}{[*].name}{[0].name}{end}", 2)
@example("{..}{[*]['name','ports']}", 3)
def test_the_same_as_of_a_document(template: str, count: int) -> None:
    rows = [row(number) for number in range(count)]
    pairs = [(each.name, each.ports) for each in rows]
    for document, kind, read in ([as_object(each) for each in rows], Rows, rows), (dict(pairs), Members, pairs):
        expected = made_of(template, document)
        if expected is None:
            with pytest.raises(WrongUsage):
                written(template, iter(read), document=kind)
        else:
            assert written(template, iter(read), document=kind) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{[*].name}", "{range [*]}{.address}{range .ports[*]} {@}{end}{end}", "{[*]['name','ports']}", "{[-2:].name}",
        "{[9000,-1,3].name}", "{}", "{..name}", "{[?(@.name=='n9999')].address}{[0].name}", "{[::1000].name}",
    ],
)  # fmt: skip
def test_many_rows(template: str) -> None:
    expected = made_of(template, [as_object(row(number)) for number in range(MANY)])
    assert written(template, map(row, range(MANY))) == expected
    assert written(template, range(MANY), row) == expected


@pytest.mark.parametrize("template", ["{.*}", "{.n9999}", "{}", "{.n3[0]}{.n4}", "{..[0]}"])
def test_many_members(template: str) -> None:
    pairs = [(f"n{number:05}", [f"v{number}"]) for number in range(MANY)]
    expected = made_of(template, dict(pairs))
    if expected is None:
        with pytest.raises(WrongUsage):
            written(template, iter(pairs), document=Members)
    else:
        assert written(template, iter(pairs), document=Members) == expected


def test_a_row_that_does_not_fit_leaves_nothing_written() -> None:
    rows = [*map(row, range(2, MANY, 3)), Row("last", None, [])]
    with pytest.raises(WrongUsage, match="index 0 of a list of 0"):
        written("{range [*]}{.ports[0]}{end}", iter(rows))


@pytest.mark.parametrize("template", ["{[*]" + ".name" * 2000 + "}", "{range @}" * 2000 + "x" + "{end}" * 2000])
def test_too_deep(template: str) -> None:
    with pytest.raises(WrongUsage, match="too deep"):
        written(f"text {template}", [row(1)])


def test_written_while_it_is_read() -> None:
    stream, seen = io.BytesIO(), []

    def rows() -> Iterator[Row]:
        for number in range(2 * CHUNK):
            seen.append(len(stream.getvalue()))
            yield row(number)

    write(stream, '{range [*]}{.name}{"\\n"}{end}', rows())
    assert seen[CHUNK - 1] == 0
    assert seen[-1] > 0


def test_what_is_not_asked_for_is_not_read() -> None:
    numbers = iter(range(MANY))
    assert written("{[3].name}", map(row, numbers)) == "n3\n"
    assert next(numbers) == CHUNK


@pytest.mark.parametrize("template", ["{[*].name}", "{[0].name} {[-1].name}", "{[*]['name','ports']}"])
@pytest.mark.parametrize("count", [0, 1, CHUNK + 1, MANY])
def test_what_was_read_before_an_error_is_written(template: str, count: int) -> None:
    def failing() -> Iterator[Row]:
        yield from map(row, range(count))
        raise Partial("the map changed")

    stream = io.BytesIO()
    with pytest.raises(Partial):
        write(stream, template, failing())
    expected = made_of(template, [as_object(row(number)) for number in range(count)]) if count else ""
    assert stream.getvalue().decode() == expected
