"""jsonpath as kubectl has it, over our rows and over Go values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.errors import WrongUsage
from cilium_py.render.jsonpath import evaluate
from cilium_py.schema import GoField, GoType, Named

PODS = {
    "items": [
        {"name": "one", "ip": "10.0.0.1", "ports": [80, 443], "ready": True, "a.b": 1},
        {"name": "two", "ip": "10.0.0.2", "ports": [53], "ready": False, "owner": None},
    ],
    "kind": "List",
}


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("plain", "plain"),
        ("", ""),
        ("kind is {.kind}!", "kind is List!"),
        ("{@.kind}{$.kind}", "ListList"),
        ("{.items[0].name}", "one"),
        ("{.items[-1].name}", "two"),
        ("{.items[-1:].name}", "two"),
        ("{.items[*].name}", "one two"),
        ("{.items[0:2:2].name}", "one"),
        ("{.items[:1].name}", "one"),
        ("{.items[1:].name}", "two"),
        ("{.items[0:0].name}", ""),
        ("{.items[0].ports}", "[80,443]"),
        ("{.items[0].*}", "one 10.0.0.1 [80,443] true 1"),
        ("{.items[*]['name', 'ip']}", "one two 10.0.0.1 10.0.0.2"),
        ("{.items[0,1].name}", "one two"),
        ("{['kind']}", "List"),
        (r"{.items[0].a\.b}", "1"),
        (r"{.items[0]['a\.b']}", "1"),
        ("{..name}", "one two"),
        ("{.missing}", ""),
        ("{.items[*].owner}", "<nil>"),
        ('{.items[?(@.name=="two")].ip}', "10.0.0.2"),
        ("{.items[?(@.name!='two')].ip}", "10.0.0.1"),
        ("{.items[?(@.ready==true)].name}", "one"),
        ("{.items[?(@.owner)].name}", "two"),
        ('{.items[?(@.ip=~"^10[.].*2$")].name}', "two"),
        ("{.items[?(@.ports[0]>60)].name}", "one"),
        ("{.items[?(@.ports[0]<=53)].name}", "two"),
        ('{range .items[*]}{.name}{"\\t"}{.ip}{"\\n"}{end}', "one\t10.0.0.1\ntwo\t10.0.0.2\n"),
        ("{range .items[*]}[{range .ports[*]}<{@}>{end}]{end}.", "[<80><443>][<53>]."),
        ("{range .nothing[*]}x{end}y", "y"),
        ("{range .nothing[*]}{range .a[*]}x{end}y{end}z", "z"),
        ("{range .items[*]}{.name};", "one;two;;"),
        ("{range .items[*]}{range .ports[*]}{@},{end};", "80,443,;53,;;"),
        ("{.items[?(@.name[0])].name}", "one two"),
        ("{'single \\' quoted'}", "single ' quoted"),
        (r'{"\x41\u0042\103\n"}', "ABC\n"),
        ("{1}{-2}{true}", "1-2true"),
        ("{1.0} {-0.5} {100000000000000000000.0}", "1 -0.5 100000000000000000000"),
        ("{.items[].name}", "one"),
        ("{.items[-2:-1].name}", "one"),
        ("{.items[*].ports[?(@>60)]}", "80 443"),
        ('{.items[?(@.name=="o)ne")].ip}', ""),
    ],
)
def test_templates(template: str, printed: str) -> None:
    assert evaluate(template, PODS) == printed


@pytest.mark.parametrize(
    "template",
    [
        "{", "{.a", "{[}", "{[*}", "{[a]}", "{.items[9]}", "{.items[-9]}", "{.kind[0]}", "{.items[1:0]}",
        "{.items[::0]}", "{'open}", "{.items[?(@.name]}", "{.items[?(@.name==1)]}", "{nonsense}", "{end}", "{....}",
        '{"\\q"}', "{.items[?(@.ip=~'[')]}", "{.items[?(@.name~'x')]}", "{%}", "{\n}", "{.items[-]}", "{1.2.3}",
    ],
)  # fmt: skip
def test_refused(template: str) -> None:
    with pytest.raises(WrongUsage, match="jsonpath: "):
        evaluate(template, PODS)


@given(st.text(alphabet="{}[]().*@$?=<>!~'\"\\abc01,:- \nrangeend", max_size=30))
def test_no_template_is_a_crash(template: str) -> None:
    try:
        evaluate(template, PODS)
    except WrongUsage:
        return


INNER = GoType("Address", "Port")
EMBEDDED = GoType(GoField("Inner", embedded=True))
TAGGED = GoType(GoField("Reason", json="reason"), "Count")


@pytest.mark.parametrize(
    ("template", "value", "printed"),
    [
        ("{[0]}", [INNER(b"\x01\x02", 3)], '{"Address":[1,2],"Port":3}'),
        ("{[0]}", [INNER(b"\x01\x02", 3, reference="pointer")], "{[1 2] 3}"),
        ("{[0]}", [INNER(b"", 3, text=lambda: "said", reference="interface")], "said"),
        ("{[0].Port}", [INNER(b"", 3, reference="pointer")], "3"),
        ("{[0].Port}", [INNER(b"", 3, reference="interface")], ""),
        ("{range [*]}{.Port}{end}", [INNER(b"", 3, reference="interface")], "3"),
        ("{.Port}", EMBEDDED(INNER(b"", 3)), "3"),
        ("{.Inner.Port}", EMBEDDED(INNER(b"", 3)), "3"),
        ("{.reason} {.Reason}", TAGGED("no", 1), "no no"),
        ("{.*}", TAGGED("no", 1), "no 1"),
        ("{.Count}", TAGGED("no", Named(1, "one")), "one"),
        ("{@}", TAGGED("<no>", Named(1, "one")), '{"reason":"\\u003cno\\u003e","Count":1}'),
        ("{..Port}", [EMBEDDED(INNER(b"", 3))], "3 3"),
        ("{[*][*]}", [[1, 2], [], [3]], "1 2"),
    ],
)
def test_go_values(template: str, value: Any, printed: str) -> None:
    assert evaluate(template, value) == printed
