"""The words that name an endpoint, and the labels that it has after some were added and deleted."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from cilium_py.endpoint import naming, store
from cilium_py.endpoint.model import Endpoint
from cilium_py.endpoint.relabel import with_labels
from cilium_py.errors import CiliumPyError, EndpointMissing, Partial, WrongUsage
from cilium_py.paths import NodePaths

WEB = Endpoint(
    7, "web", "lxcweb", container_id="0f3a91", ipv4=IPv4Address("10.0.0.7"), ipv6=IPv6Address("fd10::7"),
    labels=("container:app=web", "k8s:zone=a"),
)  # fmt: skip
OTHER = Endpoint(9, "db", "lxcdb", ipv4=IPv4Address("10.0.0.9"), labels=("container:app=db", "k8s:zone=a"))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> NodePaths:
    root: Path = tmp_path_factory.mktemp("node")
    made = NodePaths(root / "bpf", root / "state")
    for endpoint in (WEB, OTHER):
        made.endpoint(endpoint.id).mkdir(parents=True)
        store.save(made.endpoint(endpoint.id), endpoint)
    return made


@pytest.mark.parametrize(
    "text",
    ["7", "cilium-local:7", "container-name:web", "container-id:0f3", "pod-name:web", "pod-name:default:web",
     "pod-name:default/web", "cep-name:default/web", "ipv4:10.0.0.7", "ipv6:FD10::7"],
)  # fmt: skip
def test_names(paths: NodePaths, text: str) -> None:
    assert naming.find(paths, text) == 7


@pytest.mark.parametrize("text", ["container-name:none", "container-id:zz", "ipv4:10.0.0.8", "pod-name:web2"])
def test_nobody_of_that_name(paths: NodePaths, text: str) -> None:
    with pytest.raises(EndpointMissing):
        naming.find(paths, text)


@pytest.mark.parametrize("text", ["", "0", "65536", "-1", "x", "٧", "7:", ":7", "ipv4:", "color:red", "cilium-local:x"])
def test_not_a_name(paths: NodePaths, text: str) -> None:
    with pytest.raises(WrongUsage):
        naming.find(paths, text)


def test_what_is_no_endpoint_in_the_state_directory(tmp_path: Path) -> None:
    """A file with a number for a name is none; a damaged endpoint is told of, and what to do about it."""
    paths = NodePaths(tmp_path / "bpf", tmp_path)
    (tmp_path / "5").touch()
    assert list(store.all(paths)) == []
    (tmp_path / "6").mkdir()
    (tmp_path / "6" / store.DOCUMENT).write_text("{")
    with pytest.raises(CiliumPyError, match="not an endpoint") as error:
        store.load(paths, 6)
    assert error.value.hint is not None
    assert f"remove {tmp_path}/6" in error.value.hint
    (tmp_path / "7").mkdir()
    store.save(paths.endpoint(7), WEB)
    found = store.all(paths)
    assert next(found) == WEB
    with pytest.raises(Partial, match=r"left out: .*not an endpoint"):
        next(found)


def test_by_labels(paths: NodePaths) -> None:
    assert naming.having(paths, ["k8s:zone=a"]) == [WEB, OTHER]
    assert naming.having(paths, ["k8s:zone=a", "app=db"]) == [OTHER]
    with pytest.raises(EndpointMissing, match="container:app=none"):
        naming.having(paths, ["app=none"])


def test_labels_come_and_go() -> None:
    custom = with_labels(WEB, ["container:tier=x"], ["container:app=web"])
    assert custom.labels == ("container:tier=x", "k8s:zone=a")
    assert custom.custom_labels == ("container:tier=x",)
    assert custom.disabled_labels == ("container:app=web",)
    assert with_labels(custom, ["container:app=web"], ["container:tier=x"]) == WEB
    assert with_labels(WEB, ["k8s:zone=a"], []) == WEB


def test_without_any_label() -> None:
    none = with_labels(WEB, [], WEB.labels)
    assert none.labels == ("reserved:init",)
    assert with_labels(none, ["container:app=web"], []).labels == ("container:app=web",)


def test_a_label_that_it_has_not() -> None:
    with pytest.raises(CiliumPyError, match="no label container:app=db"):
        with_labels(WEB, [], ["container:app=db"])


def test_labels_are_read_back() -> None:
    changed = with_labels(WEB, ["container:tier=x"], ["container:app=web"])
    assert Endpoint.of_document(changed.document()) == changed
