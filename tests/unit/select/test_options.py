"""The options: what they mean for rows of each family, and what the shell completes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.shell_completion import ShellComplete

from cilium_py.cli.bpf import definitions
from cilium_py.cli.main import cilium_py
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.maps import ct, policy
from cilium_py.schema import MapDef
from cilium_py.select.fields import Kind, fields_of
from cilium_py.select.options import OPTIONS, selected
from cilium_py.select.rows import test_of as predicate


class Names:
    """A node that knows one of each."""

    def identities(self, text: str) -> list[int]:
        return [int(text)] if text.isdecimal() else [2, 9]

    def addresses(self, endpoint: int) -> list[bytes]:
        return [bytes([10, 0, 0, endpoint])]

    def service_ids(self, text: str) -> list[int]:
        return [len(text)]

    def backend_ids(self, text: str) -> list[int]:
        return [len(text)]


VALUES = {"CIDR": "10.0.0.0/8", "PORT": "80-90", "NAME": "tcp", "ID": "7", "DURATION": "5m"}


@pytest.mark.parametrize("definition", definitions(), ids=lambda d: "-".join(d.command))
def test_every_option_means_something_or_is_refused(definition: MapDef[object]) -> None:  # type: ignore[type-var]
    fields = fields_of(definition.row, definition.derived)
    for option in OPTIONS:
        given = [(option.name, VALUES[option.metavar], False)]
        if option.answers(fields):
            assert selected(given, fields, Names(), "it")
        else:
            with pytest.raises(WrongUsage, match=option.name) as error:
                selected(given, fields, Names(), "it")
            assert error.value.hint == f"fields: {', '.join(fields)}"


def test_every_family_can_be_selected_from() -> None:
    for definition in definitions():
        kinds = {field.kind for field in fields_of(definition.row, definition.derived).values()}
        assert kinds - {Kind.OTHER}


@pytest.mark.parametrize(("port", "is_meant"), [
    ("8083", True), ("8080-8081", True), ("9000", False),
    ("8000-9000", True), ("8087-8090", True), ("8088-8090", False),
])  # fmt: skip
def test_a_port_is_looked_for_in_ranges(port: str, is_meant: bool) -> None:
    key = policy.Key(prefixlen=policy.STATIC_BITS + 21, dport=8080, protocol=6)
    row = policy.decode(key, policy.Entry())
    assert (row.port, row.last_port) == (8080, 8087)
    node = selected([("--port", port, False)], fields_of(policy.Row), Names(), "policy")
    assert predicate(node)(row) is is_meant


@pytest.mark.parametrize("row", [policy.Row, ct.Row])
@pytest.mark.parametrize("port", ["65536", "8080-70000", "70000-80", "x"])
def test_no_port(row: type[tuple[object, ...]], port: str) -> None:
    with pytest.raises(WrongUsage, match=port):
        selected([("--port", port, False)], fields_of(row), Names(), "a table")


@pytest.mark.parametrize(("line", "known"), [
    ("bpf ct list --proto FOO", "TCP"),
    ("bpf ct list --not-proto tcp,FOO", "TCP"),
    ("bpf ct count --dir egress", "SVC"),
    ("bpf nat list --dir SVC", "OUT"),
    ("bpf ct delete --flag Nope", "SeenNonSyn"),
])  # fmt: skip
def test_an_unknown_word_is_a_slip(line: str, known: str) -> None:
    with pytest.raises(WrongUsage, match="nothing is called") as refused:
        cilium_py.main(line.split(), standalone_mode=False)
    assert known in str(refused.value.hint)


@pytest.mark.parametrize("line", ["bpf ct list --proto 253", "bpf ct list --dir in", "bpf metrics list --dir service"])
def test_a_known_word_or_a_number_is_taken(line: str) -> None:
    with pytest.raises(CiliumPyError, match="no such"):
        cilium_py.main(["--bpf-root", "/nonexistent", *line.split()], standalone_mode=False)


def offered(line: str) -> Iterator[str]:
    *words, last = line.split(" ")
    for item in ShellComplete(cilium_py, {}, "cilium-py", "_COMPLETE").get_completions(words, last):
        yield str(item.value)


@pytest.mark.parametrize(("line", "words"), [
    ("bpf ct list --proto ", ["ANY", "ICMP", "TCP", "UDP", "ICMPv6", "SCTP"]),
    ("bpf ct list --proto tcp,u", ["tcp,UDP"]),
    ("bpf ct list --not-proto ud", ["UDP"]),
    ("bpf ct list --not --proto ud", ["UDP"]),
    ("bpf ct count --dir s", ["SVC"]),
    ("bpf ct list --flag tx", ["TxClosing"]),
    ("bpf ct watch --state c", ["CLOSING", "CLOSED"]),
    ("bpf ipcache list --identity world", ["world", "world-ipv4", "world-ipv6"]),
    ("bpf ct list --sort byt", ["bytes", "bytes:desc"]),
    ("bpf ct list --columns source,byt", ["source,bytes"]),
    ("bpf ct top --by sta", ["state"]),
    ("bpf ct list --expires", ["--expires-within"]),
    ("bpf metrics list --sr", []),
], ids=str)  # fmt: skip
def test_completion(line: str, words: list[str]) -> None:
    assert list(offered(line)) == words
