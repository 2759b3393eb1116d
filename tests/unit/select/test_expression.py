"""The language of --where: what it means, where it is wrong, and that nothing typed is a traceback."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cilium_py.errors import WrongUsage
from cilium_py.health.history import Summary
from cilium_py.maps import ct, ipcache, nat
from cilium_py.schema.text import parse_ip
from cilium_py.select.expression import parse
from cilium_py.select.fields import fields_of
from cilium_py.select.rows import test_of as predicate

FIELDS = fields_of(ct.Row)
ROW = ct.Row(
    protocol="TCP", direction="OUT", source=parse_ip("10.0.0.1"), source_port=40000, destination=parse_ip("10.0.1.7"),
    destination_port=443, related=False, expires=1000, packets=10, bytes=12_000, rx_flags_seen=2, last_rx_report=5,
    tx_flags_seen=2, last_tx_report=6, flags=0x10, flag_names=["SeenNonSyn"], rev_nat=7, source_identity=256,
    backend_id=0,
)  # fmt: skip


@pytest.mark.parametrize(("text", "is_true"), [
    ("protocol == tcp", True),
    ("protocol != TCP", False),
    ("protocol = 6", True),
    ("protocol in (udp, sctp)", False),
    ("protocol not in (udp, sctp)", True),
    ("protocol ~ cp", True),
    ("source == 10.0.0.1 and destination_port == 443", True),
    ("source in 10.0.0.0/24", True),
    ("source == ::ffff:10.0.0.1", True),
    ("source in ::/0", False),
    ("source == destination", False),
    ("source_port > destination_port", True),
    ("destination_port in (80-90, 440-450)", True),
    ("destination_port in 440-450", True),
    ("bytes >= 12k", True),
    ("bytes > 11.9k", None),
    ("bytes > 0x2ee0", False),
    ("bytes >= 12_000", True),
    ("related", False),
    ("not related", True),
    ("related == no", True),
    ("! related && (packets == 10 || packets == 11)", True),
    ("flag_names has seennonsyn", True),
    ("flag_names == 'SeenNonSyn'", True),
    ("nat_port == none", True),
    ("nat_port != none", False),
    ("nat_port < 5", False),
    ("not nat_port < 5", True),
    ("nat_address in 10.0.0.0/8", False),
    ("protocol == udp or protocol == tcp and packets == 10", True),
    ("(protocol == udp or protocol == tcp) and packets == 11", False),
    ("destination_port in [80, 443]", True),
], ids=str)  # fmt: skip
def test_meaning(text: str, is_true: bool | None) -> None:
    if is_true is None:
        with pytest.raises(WrongUsage):
            parse(text, FIELDS)
    else:
        assert predicate(parse(text, FIELDS))(ROW) is is_true


@pytest.mark.parametrize(("text", "message"), [
    ("", "--where: the end at column 1: a field expected"),
    ("sorce == 1", "--where: 'sorce' at column 1: no such field"),
    ("packets > 1 and sorce == 1", "--where: 'sorce' at column 17: no such field"),
    ("packets > ten", "--where: column 11: 'ten' is not a number"),
    ("packets >", "--where: the end at column 10: a value expected"),
    ("packets 1", "--where: '1' at column 9: a comparison of packets expected"),
    ("(packets > 1", "--where: the end at column 13: a closing bracket expected"),
    ("packets > 1)", "--where: ')' at column 12: and, or, or the end expected"),
    ("packets in (1, 2", "--where: the end at column 17: a comma or a closing bracket expected"),
    ("packets not 5", "--where: '5' at column 13: in expected after not"),
    ("protocol < udp", "--where: column 12: protocol is a word: it has no order"),
    ("source == 10.0.0", "--where: column 11: '10.0.0' is not an IP address"),
    ("source == 'x", '--where: "\'" at column 11 is not understood'),
    ("source has 1", "--where: '1' at column 12: source is an address: it contains nothing"),
    ("packets ~ 1", "--where: column 11: packets is a number: ~ is for words"),
    ("packets in 9-5", "--where: column 12: '9-5' is an empty range"),
    ("related == maybe", "--where: column 12: 'maybe' is neither true nor false"),
    ("not " * 60 + "related", "--where: 'not' at column 201: nested more than 50 deep"),
    ("related " * 2000, "--where: longer than 10000 characters"),
], ids=lambda text: text[:40])  # fmt: skip
def test_errors_name_the_column(text: str, message: str) -> None:
    with pytest.raises(WrongUsage) as error:
        parse(text, FIELDS)
    assert error.value.message == message


def test_a_duration_is_compared_at_one_moment() -> None:
    fields = fields_of(nat.Row, nat.MAP.derived)
    assert parse("age > 1h30m", fields) == parse("age > 5400", fields)
    assert parse("age > 90s", fields) == parse("age > 1.5m", fields)
    with pytest.raises(WrongUsage, match="'tomorrow' is not a duration"):
        parse("age > tomorrow", fields)


WORDS = st.sampled_from([
    "and", "or", "not", "in", "has", "contains", "(", ")", ",", "==", "!=", "<", ">=", "~", "=", "'", '"x y"', "none",
    "10.0.0.1", "10.0.0.0/8", "fd00::/64", "5m", "10k", "tcp", "prefix", "identity", "source", "packets", "-", "é", "[",
])  # fmt: skip


@given(text=st.one_of(st.text(max_size=40), st.lists(WORDS, max_size=12).map(" ".join)))
def test_nothing_typed_is_a_traceback(text: str) -> None:
    for fields in (FIELDS, fields_of(nat.Row, nat.MAP.derived), fields_of(ipcache.Row)):
        with suppress(WrongUsage):
            parse(text, fields)


def test_a_field_in_percent_takes_percent() -> None:
    fields = fields_of(Summary)
    assert parse("loss_percent > 50%", fields) == parse("loss_percent > 50", fields)
