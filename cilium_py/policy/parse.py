"""Rules out of a file: bare rules as Cilium's agent takes them, and the documents of Kubernetes around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from . import peers
from .document import Value
from .labels import NAMESPACE, LabelSelector, Operator, Requirement
from .passage import parse_passages
from .rule import Direction, Passage, Rule

KINDS = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
RULE_FIELDS = (
    "endpointSelector", "ingress", "ingressDeny", "egress", "egressDeny", "enableDefaultDeny", "labels",
    "description", "log",
)  # fmt: skip
REFUSED = {"nodeSelector": "policies of the host itself"}
_LABEL = re.compile(r"(?:(?P<source>[a-z0-9][a-z0-9-]*):)?(?P<key>[A-Za-z0-9][\w./-]*)(?:=(?P<value>[\w./:@ -]*))?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
POLICY_LABEL = "k8s:io.cilium.k8s.policy"


@dataclass(frozen=True)
class Context:
    """What the document around a rule says of it."""

    kind: str = ""
    name: str = ""
    namespace: str = ""

    @property
    def origin(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}" if self.kind else ""

    def labels(self) -> tuple[str, ...]:
        """The labels that Cilium gives the rules of a document, so that they are found again."""
        if not self.kind:
            return ()
        namespace = (f"{POLICY_LABEL}.namespace={self.namespace}",) if self.namespace else ()
        return (f"{POLICY_LABEL}.derived-from={self.kind}", f"{POLICY_LABEL}.name={self.name}", *namespace)

    def subject(self, selector: LabelSelector) -> LabelSelector:
        """Whom a rule of this document selects: of its namespace only."""
        if not self.namespace:
            return selector
        others = tuple(r for r in selector.requirements if r.key.partition(":")[2] != NAMESPACE)
        return LabelSelector((*others, Requirement(f"k8s:{NAMESPACE}", Operator.IN, (self.namespace,))))


@dataclass(frozen=True)
class Written:
    """A rule and what it was parsed from, as it is stored."""

    rule: Rule
    context: Context
    spec: dict[str, Any]  # what json can write

    def document(self) -> dict[str, Any]:
        return {"kind": self.context.kind, "name": self.context.name, "namespace": self.context.namespace,
                "spec": self.spec}  # fmt: skip


def parse_file(documents: list[Value]) -> list[Written]:
    """Every rule of a file, in order. Raises WrongRule for the first that is wrong."""
    return [written for document in documents for written in _document(document)]


def parse_stored(value: Value) -> Written:
    """A rule as `Written.document` wrote it."""
    fields = value.fields(("kind", "name", "namespace", "spec"))
    context = Context(*(fields[name].text() for name in ("kind", "name", "namespace")))
    return _rule(fields["spec"], context)


def _document(value: Value) -> Iterator[Written]:
    if value.data is None:
        return
    if isinstance(value.data, list):
        for item in value.items():
            yield from _document(item)
        return
    fields = value.mapping()
    if "kind" not in fields and "apiVersion" not in fields:
        yield _rule(value, Context())
        return
    kind = fields["kind"].text() if "kind" in fields else value.wrong("has no kind")
    if kind == "List" or kind in (f"{known}List" for known in KINDS):
        for item in value.fields(("apiVersion", "kind", "metadata", "items")).get("items", value).items():
            yield from _document(item)
        return
    if kind not in KINDS:
        fields["kind"].wrong(f"{kind!r} is not a kind of policy", f"there are {', '.join(KINDS)}")
    yield from _policy(value, kind)


def _policy(value: Value, kind: str) -> Iterator[Written]:
    fields = value.fields(("apiVersion", "kind", "metadata", "spec", "specs", "status"))
    if "apiVersion" not in fields or fields["apiVersion"].text() != "cilium.io/v2":
        fields.get("apiVersion", value).wrong("apiVersion must be cilium.io/v2")
    metadata = fields["metadata"].mapping() if "metadata" in fields else value.wrong("has no metadata")
    name = _name(metadata["name"]) if "name" in metadata else fields["metadata"].wrong("has no name")
    namespace = _name(metadata["namespace"]) if "namespace" in metadata else ""
    if namespace and kind == KINDS[1]:
        metadata["namespace"].wrong(f"a {kind} has no namespace")
    specs = [fields["spec"]] if "spec" in fields else []
    specs += fields["specs"].items() if "specs" in fields else []
    if not specs:
        value.wrong("has neither spec nor specs")
    for spec in specs:
        yield _rule(spec, Context(kind, name, namespace))


def _name(value: Value) -> str:
    name = value.text()
    if not _NAME.fullmatch(name):
        value.wrong(f"{name!r} is not a name", "lower-case letters, digits, - and .")
    return name


def _rule(value: Value, context: Context) -> Written:
    fields = value.fields(RULE_FIELDS, REFUSED)
    if "endpointSelector" not in fields:
        value.wrong("has no endpointSelector", "write endpointSelector: {} to select every endpoint")
    words = peers.Words(bool(context.kind), context.namespace)
    passages = tuple(
        passage
        for direction in Direction
        for deny in (False, True)
        for passage in parse_passages(fields, direction, deny, words)
    )
    own = tuple(_label(item) for item in fields["labels"].items()) if "labels" in fields else ()
    description = fields["description"].text() if "description" in fields else ""
    rule = Rule(
        subject=context.subject(peers.label_selector(fields["endpointSelector"])),
        passages=passages,
        default_deny=_default_deny(fields.get("enableDefaultDeny"), passages),
        labels=own + context.labels(),
        description=description,
        origin=context.origin,
    )
    return Written(replace(rule, name=_called(rule, context)), context, value.plain())


def _called(rule: Rule, context: Context) -> str:
    if context.name:
        return f"{context.namespace}/{context.name}" if context.namespace else context.name
    return ",".join(rule.labels) or rule.description[:40]


def _default_deny(value: Value | None, passages: tuple[Passage, ...]) -> tuple[bool, bool]:
    """A direction that the rule speaks of is closed by default, unless the rule says otherwise."""
    spoken = {passage.direction for passage in passages}
    said = value.fields(("ingress", "egress")) if value is not None else {}
    ingress, egress = (
        said[str(direction)].flag() if str(direction) in said else direction in spoken for direction in Direction
    )
    return ingress, egress


def _label(value: Value) -> str:
    """A label of a rule: text, or a mapping of key, value and source."""
    if isinstance(value.data, dict):
        fields = value.fields(("key", "value", "source"))
        key = fields["key"].text() if "key" in fields else value.wrong("has no key")
        source = fields["source"].text() if "source" in fields else ""
        content = fields["value"].text() if "value" in fields else ""
        text = (f"{source}:" if source else "") + key + (f"={content}" if content else "")
    else:
        text = value.text()
    return rule_label(text) or value.wrong(f"{text!r} is not a label", "write key=value, or source:key=value")


def rule_label(text: str) -> str | None:
    """A rule's label in full form, or None; one without a source has the source `unspec`."""
    match = _LABEL.fullmatch(text)
    if match is None or len(text) > 512:
        return None
    return f"{match['source'] or 'unspec'}:{match['key']}" + (f"={match['value']}" if match["value"] else "")
