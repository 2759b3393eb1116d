"""Label sets and the numbers that stand for them."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.node import labels
from cilium_py.node.identity import FIRST, IdentityStore


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("app=web", "container:app=web"),
        ("app", "container:app"),
        ("k8s:app=web", "k8s:app=web"),
        ("k8s:io.kubernetes.pod.namespace=default", "k8s:io.kubernetes.pod.namespace=default"),
        ("reserved:health", "reserved:health"),
        ("cidr:10.0.0.0/8", "cidr:10.0.0.0/8"),
    ],
)
def test_parse(text: str, full: str) -> None:
    assert labels.parse(text) == full
    assert labels.parse(full) == full


@pytest.mark.parametrize("text", ["", "=web", "a b=c", "app=web\n", ":x", "-x=y", "x" * 600])
def test_not_labels(text: str) -> None:
    with pytest.raises(WrongUsage):
        labels.parse(text)


@given(some.lists(some.from_regex(r"[a-z]{1,3}(=[a-z]{0,3})?", fullmatch=True)))
def test_equal_sets_have_one_form(texts: list[str]) -> None:
    once = labels.canonical(texts)
    assert labels.canonical(once) == once
    assert labels.canonical(reversed(once)) == once


def test_a_key_counts_once() -> None:
    """As in the original, whatever source each comes from."""
    assert labels.canonical(["app=a", "zone=b", "k8s:app=c"]) == ("k8s:app=c", "container:zone=b")


def test_same_labels_same_number(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path)
    first = store.allocate(["app=web", "zone=a"], "node1/1")
    assert first == FIRST
    assert store.allocate(["zone=a", "app=web"], "node2/1") == first
    assert store.allocate(["app=db"], "node1/2") == first + 1
    assert store.labels(first) == ("container:app=web", "container:zone=a")


def test_a_number_lives_as_long_as_its_users(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path)
    number = store.allocate(["app=web"], "node1/1")
    store.allocate(["app=web"], "node1/1")
    store.allocate(["app=web"], "node2/1")
    assert not store.release("node1/1")
    assert store.labels(number) is not None
    assert store.release("node2/1")
    assert store.labels(number) is None
    assert not store.release("node2/1")
    assert store.allocate(["app=db"], "node1/1") == number


def test_a_user_holds_one_identity(tmp_path: Path) -> None:
    store = IdentityStore(tmp_path)
    first = store.allocate(["app=web"], "node1/1")
    second = store.allocate(["app=db"], "node1/1")
    assert [identity.number for identity in store.all()] == [second]
    assert first != second
    store.allocate(["reserved:health"], "node1/1")
    assert store.all() == []


@pytest.mark.parametrize(("label", "number"), [("reserved:health", 4), ("reserved:host", 1), ("reserved:init", 5)])
def test_reserved(tmp_path: Path, label: str, number: int) -> None:
    store = IdentityStore(tmp_path)
    assert store.allocate([label], "node1/1") == number
    assert store.labels(number) == (label,)
    assert store.all() == []


def test_unknown_reserved_label(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage):
        IdentityStore(tmp_path).allocate(["reserved:nobody"], "node1/1")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": {}}', '{"256": {"labels": 1, "users": []}}', "null"])
def test_a_broken_file_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "identities.json").write_text(text)
    with pytest.raises(CiliumPyError, match=r"identities\.json"):
        IdentityStore(tmp_path).all()


def test_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        numbers = pool.starmap(_allocate, [(tmp_path, n % 10) for n in range(40)])
    assert len(set(numbers)) == 10
    assert sorted(set(numbers)) == list(range(FIRST, FIRST + 10))
    assert sum(len(identity.users) for identity in IdentityStore(tmp_path).all()) == 10


def _allocate(directory: Path, number: int) -> int:
    return IdentityStore(directory).allocate([f"app={number}"], f"node1/{number}")
