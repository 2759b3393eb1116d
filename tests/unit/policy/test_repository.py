"""Rules and the identities of CIDRs on disk: revisions, replacing, numbers that are not used twice."""

from __future__ import annotations

import json
import stat
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from cilium_py.errors import CiliumPyError
from cilium_py.paths import NodePaths
from cilium_py.policy import document, parse, repository
from cilium_py.policy.cidr import FIRST, CidrIdentities, CidrIdentity, cidr_label
from cilium_py.policy.desired import Ports, desired
from cilium_py.policy.identities import Identities
from cilium_py.policy.labels import LabelSelector
from cilium_py.policy.mapstate import ALLOW, Entry, Key
from cilium_py.policy.parse import Written
from cilium_py.policy.place import file_of
from cilium_py.policy.ports import EVERYTHING, TCP, UDP, exactly
from cilium_py.policy.repository import Repository
from cilium_py.policy.rule import Cidr, ClusterEndpoints, Direction, Entity
from tests.unit.policy.world import Pod

NET, INNER = ip_network("10.0.0.0/8"), ip_network("10.1.0.0/16")
WEB, IN, OUT = Pod(("container:app=web",)), Direction.INGRESS, Direction.EGRESS


@pytest.fixture
def paths(tmp_path: Path) -> NodePaths:
    return NodePaths(tmp_path / "bpf", tmp_path / "state")


def bare(**sections: Any) -> list[Written]:
    return parse.parse_file([document.of_plain({"endpointSelector": {}, **sections}, "rules")])


def named(name: str, **sections: Any) -> list[Written]:
    policy = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": name},
        "spec": {"endpointSelector": {}, **sections},
    }
    return parse.parse_file([document.of_plain(policy, "rules")])


def never(_: object) -> bool:
    return False


def test_rules_are_found_again_and_private(paths: NodePaths) -> None:
    assert repository.load(paths).is_new
    saved = repository.merge(Repository(), named("web", ingress=[{"fromEntities": ["host"]}]), never)
    repository.save(paths, saved)
    assert repository.load(paths) == saved
    assert saved.revision == 2
    assert stat.S_IMODE(file_of(paths).stat().st_mode) == 0o600
    assert stat.S_IMODE(file_of(paths).parent.stat().st_mode) == 0o700


def test_a_document_takes_the_place_of_its_earlier_version() -> None:
    first = repository.merge(Repository(), [*named("web"), *named("db"), *bare()], never)
    second = repository.merge(first, named("web", description="again"), never)
    assert [(number, written.rule.name) for number, written in second.written.items()] == [
        (2, "db"),
        (3, ""),
        (4, "web"),
    ]
    assert second.revision == 3


def test_rules_by_label() -> None:
    known = repository.merge(Repository(), [*bare(labels=["a=1", "b"]), *bare(labels=["a=1"])], never)
    assert list(known.having(["unspec:a=1"])) == [1, 2]
    assert list(known.having(["unspec:a=1", "unspec:b"])) == [1]
    assert list(known.having([])) == [1, 2]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"revision": 1}', '{"revision": 2, "next": 1, "rules": {"1": 3}}']
)
def test_a_damaged_file_is_an_error(paths: NodePaths, content: str) -> None:
    repository.save(paths, Repository())
    file_of(paths).write_text(content)
    with pytest.raises(CiliumPyError, match=r"rules\.json"):
        repository.load(paths)


def test_numbers_of_cidrs_are_held_released_and_not_used_again_at_once(paths: NodePaths) -> None:
    cidrs = CidrIdentities.of(paths)
    assert [identity.number for identity in cidrs.hold({NET: [1], INNER: [1, 2]})] == [FIRST, FIRST + 1]
    assert cidrs.hold({NET: [3]}) == []
    assert cidrs.unused() == [CidrIdentity(FIRST + 1, INNER, frozenset())]
    cidrs.release()
    assert cidrs.all() == [CidrIdentity(FIRST, NET, frozenset({3}))]
    assert [identity.number for identity in cidrs.hold({NET: [3], INNER: [4]})] == [FIRST + 2]


@pytest.mark.parametrize(
    "content", ["", "[]", '{"next": 1}', '{"next": 1, "identities": {"moon": {"id": 1, "rules": []}}}']
)
def test_a_damaged_list_of_cidrs_is_an_error(paths: NodePaths, content: str) -> None:
    cidrs = CidrIdentities.of(paths)
    cidrs.hold({NET: [1]})
    cidrs.path.write_text(content)
    with pytest.raises(CiliumPyError, match="not a list of CIDR identities"):
        cidrs.all()


@pytest.mark.parametrize(
    ("network", "label"),
    [
        ("10.0.0.0/8", "cidr:10.0.0.0/8"),
        ("fd00::/8", "cidr:fd00--0/8"),
        ("::1/128", "cidr:0--1/128"),
        ("2001:db8::7/128", "cidr:2001-db8--7/128"),
    ],
)
def test_labels_of_cidrs(network: str, label: str) -> None:
    assert cidr_label(ip_network(network)) == label


CIDRS = {
    number: CidrIdentity(number, network, frozenset({1})) for number, network in ((FIRST, NET), (FIRST + 1, INNER))
}
DUAL = Identities({256: ("container:app=web",), 257: ("k8s:app=db",)}, CIDRS)
SINGLE = Identities(DUAL.endpoints, CIDRS, frozenset({4}))


@pytest.mark.parametrize(
    ("identities", "peer", "selected"),
    [
        (DUAL, LabelSelector(), {0}),
        (DUAL, Entity("all"), {0}),
        (DUAL, Entity("none"), set()),
        (DUAL, Entity("host"), {1}),
        (DUAL, Entity("remote-node"), {6, 7}),
        (DUAL, Entity("world"), {2, 9, 10, *CIDRS}),
        (DUAL, Entity("world-ipv4"), {9, *CIDRS}),
        (SINGLE, Entity("world-ipv4"), {2, 9, *CIDRS}),
        (DUAL, Entity("world-ipv6"), {10}),
        (DUAL, Entity("cluster"), {1, 3, 4, 5, 6, 7, 8, 256, 257}),
        (DUAL, ClusterEndpoints(), {256, 257}),
        (DUAL, Cidr(NET), set(CIDRS)),
        (DUAL, Cidr(INNER), {FIRST + 1}),
        (DUAL, Cidr(NET, (INNER,)), {FIRST}),
        (DUAL, Cidr(ip_network("0.0.0.0/0")), {9, *CIDRS}),
        (SINGLE, Cidr(ip_network("0.0.0.0/0")), {2, *CIDRS}),
        (DUAL, Cidr(ip_network("::/0")), {10}),
    ],
    ids=str,
)
def test_whom_a_peer_means(identities: Identities, peer: Any, selected: set[int]) -> None:
    assert identities.select(peer) == selected


def test_identities_by_label() -> None:
    assert DUAL.having(["app=web"]) == [256]
    assert DUAL.having(["k8s:app=db"]) == [257]
    assert DUAL.having(["reserved:kube-apiserver"]) == [7]
    assert DUAL.having(["cidr:10.1.0.0/16", "reserved:world-ipv4"]) == [FIRST + 1]


def test_an_address_has_the_identity_of_the_longest_cidr_around_it() -> None:
    assert DUAL.of_address(ip_network("10.1.2.3")) == FIRST + 1
    assert DUAL.of_address(ip_network("10.2.2.3")) == FIRST
    assert DUAL.of_address(ip_network("192.0.2.1")) == 9
    assert SINGLE.of_address(ip_network("192.0.2.1")) == 2


def entries(
    *rules: Written, ports: Ports | None = None, always: tuple[bool, bool] = (False, False)
) -> dict[Key, Entry]:
    return dict(desired(Repository().replace((), rules), DUAL, WEB, ports, always).entries)


OPEN_IN, OPEN_OUT = {Key(IN, 0, EVERYTHING): ALLOW}, {Key(OUT, 0, EVERYTHING): ALLOW}
FROM_HOST = {Key(IN, 1, EVERYTHING): ALLOW}


def test_an_open_direction_has_an_entry_that_says_so() -> None:
    assert entries() == {**OPEN_IN, **OPEN_OUT}
    assert entries(*bare(ingress=[{}])) == {**FROM_HOST, **OPEN_OUT}
    assert entries(always=(True, True)) == FROM_HOST


def test_rules_for_others_change_nothing() -> None:
    assert entries(*bare(endpointSelector={"matchLabels": {"app": "db"}}, ingress=[{}])) == {**OPEN_IN, **OPEN_OUT}


def test_a_peer_without_ports_and_ports_without_a_peer() -> None:
    found = entries(
        *bare(ingress=[{"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}]}]}, {"fromCIDR": [str(NET)]}])
    )
    allowed = {Key(IN, 0, exactly(TCP, 80)): ALLOW, **{Key(IN, number, EVERYTHING): ALLOW for number in CIDRS}}
    assert found == {**FROM_HOST, **OPEN_OUT, **allowed}


NAMED = Ports(own={"http": [(TCP, 8080)]}, peers={"dns": [(TCP, 53), (UDP, 53)], "web": [(TCP, 80), (TCP, 81)]})


def to_port(port: str, **more: str) -> dict[str, Any]:
    return {"toPorts": [{"ports": [{"port": port, **more}]}]}


def test_ports_by_name_are_the_endpoints_own_on_ingress_and_the_peers_on_egress() -> None:
    found = entries(
        *bare(ingress=[to_port("http"), to_port("dns")], egress=[to_port("dns"), to_port("http")]), ports=NAMED
    )
    named_ports = [Key(IN, 0, exactly(TCP, 8080)), Key(OUT, 0, exactly(TCP, 53)), Key(OUT, 0, exactly(UDP, 53))]
    assert found == {**FROM_HOST, **dict.fromkeys(named_ports, ALLOW)}


def test_a_name_of_several_ports_allows_none_and_denies_all() -> None:
    rules = bare(egress=[to_port("web")], egressDeny=[to_port("web")])
    policy = desired(Repository().replace((), rules), DUAL, WEB, NAMED)
    denied = {key for key, entry in policy.entries.items() if entry.deny}
    assert denied == {Key(OUT, 0, exactly(TCP, 80)), Key(OUT, 0, exactly(TCP, 81))}
    assert policy.remarks == ("egress[0]: web names several ports; none of them is allowed",)


def test_redirects_have_a_port_for_each_proxy_which_stays() -> None:
    http = {"toPorts": [{"ports": [{"port": "80", "protocol": "TCP"}], "rules": {"http": [{}]}}]}
    one = Repository().replace((), bare(ingress=[http]))
    assert one.proxy_ports == {"cilium-http-ingress": 10000}
    two = one.replace((), bare(egress=[http]))
    assert two.proxy_ports == {"cilium-http-egress": 10001, "cilium-http-ingress": 10000}
    assert two.replace([1], ()).proxy_ports == {"cilium-http-egress": 10001}
    policy = desired(two, DUAL, WEB)
    assert policy.entries[Key(IN, 0, exactly(TCP, 80))] == Entry(proxy_port=10000, priority=27)
    assert policy.origins(Key(IN, 0, exactly(TCP, 80))) == ["ingress[0]"]


def test_largest_rules() -> None:
    many = named("many", ingress=[{"fromEntities": ["cluster"]}])
    policy = desired(Repository().replace((), [*many, *named("few", egress=[{"toEntities": ["host"]}])]), DUAL, WEB)
    assert policy.largest(1) == [("many: ingress[0]", 9)]


def test_a_file_is_json(paths: NodePaths) -> None:
    repository.save(paths, repository.merge(Repository(), named("web"), never))
    assert json.loads(file_of(paths).read_text())["rules"]["1"]["name"] == "web"
