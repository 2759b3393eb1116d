"""`policy`: the rules that say who may talk to whom."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from cilium_py.cli.context import Settings, confirm, output_option, say, settings, yes_option
from cilium_py.cli.groups import Group
from cilium_py.cli.offline import rules_of
from cilium_py.cli.parameters import time_option
from cilium_py.cli.rows import Listed, add_verbs
from cilium_py.cli.select import SelectingCommand, Subject, asked, list_rows
from cilium_py.cli.trace import trace
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.node.config import NodeConfig
from cilium_py.policy import document, parse, repository
from cilium_py.policy.parse import Written
from cilium_py.policy.repository import Repository
from cilium_py.policy.rule import Direction, Rule
from cilium_py.render import write_value
from cilium_py.render.tabular import lines
from cilium_py.schema import Table

SHORTEST_PAUSE = 0.05
"""Seconds."""


class RuleRow(NamedTuple):
    """A rule."""

    rule: int
    name: str
    selects: str
    ingress: int
    """How many sections allow; the next three likewise."""
    ingress_deny: int
    egress: int
    egress_deny: int
    default_deny: list[str]
    """Directions that it closes by default."""
    labels: list[str]
    description: str


class SelectorRow(NamedTuple):
    """A selector of peers."""

    selector: str
    labels: list[str]
    """Of the rules that use it."""
    users: int
    """How many rules use it."""
    identities: list[int]
    """What it selects now; 0 is anyone."""


RULES = Table[RuleRow](
    ("RULE", "NAME", "SELECTS", "INGRESS", "EGRESS", "DEFAULT DENY"),
    lambda row: (
        str(row.rule), row.name or "-", row.selects, _sections(row.ingress, row.ingress_deny),
        _sections(row.egress, row.egress_deny), ",".join(row.default_deny) or "none",
    ),
    padded="none",
)  # fmt: skip


SUBJECT = Subject("policy", RuleRow)
SELECTORS = Table[SelectorRow](
    ("SELECTOR", "LABELS", "USERS", "IDENTITIES"),
    lambda row: (row.selector, " ".join(row.labels), str(row.users), ",".join(map(str, row.identities))),
    padded="none",
)


@click.group(cls=Group)
def policy() -> None:
    """Rules that say who may talk to whom, in the files that Cilium's policies are written in.

    \b
    cilium-py policy import web.yaml
    cilium-py policy trace --from pod1 --to pod2:80/TCP
    """


@policy.command("import")
@click.argument("path", metavar="FILE|-", type=click.Path(allow_dash=True))
@click.option("--replace", is_flag=True, help="take out rules with the labels of the new ones")
@click.option("--replace-with-labels", metavar="LABELS", multiple=True, help="take out rules with all of these labels")
@click.option("--print", "printed", is_flag=True, help="print the rules that were imported")
@output_option
@settings
def import_(
    where: Settings, path: str, replace: bool, replace_with_labels: tuple[str, ...], printed: bool, output: str | None
) -> None:
    """Add the rules of a file and bring every endpoint to them.

    A document of Kubernetes takes the place of an earlier one of its kind, namespace and name. If anything in the
    file is wrong, nothing of it is applied.

    \b
    cilium-py policy import web.yaml
    cilium-py policy import --replace - <rules.json
    """
    form = where.output(output)
    new = read(path)
    wanted = set(_labels(replace_with_labels))
    same = [set(written.rule.labels) for written in new if written.rule.labels] if replace else []

    def replaced(rule: Rule) -> bool:
        have = set(rule.labels)
        return bool(wanted and wanted <= have) or any(labels <= have for labels in same)

    revision = _install(where, lambda current: repository.merge(current, new, replaced))
    if printed or not form.is_text:
        _print(form, [written.spec for written in new], revision)
    if form.is_text:
        click.echo(f"Revision: {revision}")


@policy.command()
@click.argument("path", metavar="FILE|-", type=click.Path(allow_dash=True))
@click.option("--print", "printed", is_flag=True, help="print the rules")
@click.option("-v", "--verbose", is_flag=True, help="say what each rule does")
def validate(path: str, printed: bool, verbose: bool) -> None:
    """Check a file of rules without a node: its first error, with line and field, or none.

    \b
    cilium-py policy validate web.yaml
    """
    found = read(path)
    if printed:
        click.echo(json.dumps([written.spec for written in found], indent=2, ensure_ascii=False))
    if verbose:
        for line in lines(RULES.titles, (RULES.cells(_row(n, w)) for n, w in enumerate(found, 1)), RULES.padded):
            click.echo(line)
    click.echo("All policy elements are valid.")


@policy.command("list", cls=SelectingCommand, subject=SUBJECT, arranges=True)
@output_option
@settings
def list_(where: Settings, output: str | None) -> None:
    """List the rules of the node.

    \b
    cilium-py policy list
    cilium-py policy list --where 'name ~ web and ingress_deny > 0'
    cilium-py policy list -o json | jq '.[] | select(.egress_deny > 0).name'
    """
    list_rows(where, where.output(output), rows_of(where), RuleRow, RULES)


def rows_of(where: Settings) -> list[RuleRow]:
    """The rules of the node, or of the recorded one."""
    return [_row(number, written) for number, written in rules_of(where).written.items()]


LISTED = Listed("cilium-py policy", SUBJECT, rows_of, ("rule",), RULES, "--where 'ingress_deny > 0'")
add_verbs(policy, LISTED)


@policy.command()
@click.argument("labels", nargs=-1, metavar="[ENDPOINT ID | LABELS]")
@click.option("--all", "every", is_flag=True, help="the policy maps of every endpoint")
@click.option("-n", "--numeric", is_flag=True, help="of a policy map: identities as numbers")
@output_option
@click.pass_context
def get(ctx: click.Context, labels: tuple[str, ...], every: bool, numeric: bool, output: str | None) -> None:
    """Show rules as they were written: all of them, or those that have all of the labels.

    With the id of an endpoint, show its policy map instead, as `bpf policy get` does.

    \b
    cilium-py policy get
    cilium-py policy get k8s:io.cilium.k8s.policy.name=web
    cilium-py policy get 1
    """
    where = ctx.find_object(Settings) or Settings()
    if every or (len(labels) == 1 and labels[0].isdecimal()):
        from cilium_py.cli.policy import get as get_map

        words = [
            *labels,
            *(["--all"] if every else []),
            *(["-n"] if numeric else []),
            *(["-o", output] if output else []),
        ]
        with get_map.make_context("get", words, parent=ctx) as inner:
            get_map.invoke(inner)
        return
    form = where.output(output)
    current = rules_of(where)
    found = current.having(_labels(labels))
    if labels and not found:
        raise CiliumPyError(f"no rule has the labels {' '.join(_labels(labels))}")
    _print(form, [written.spec for written in found.values()], current.revision)
    if form.is_text:
        click.echo(f"Revision: {current.revision}")


@policy.command()
@click.argument("labels", nargs=-1, metavar="[LABELS]")
@click.option("--all", "every", is_flag=True, help="every rule of the node")
@output_option
@yes_option
@settings
def delete(where: Settings, labels: tuple[str, ...], every: bool, output: str | None, yes: bool, dry_run: bool) -> None:
    """Take out the rules that have all of the labels, and bring every endpoint to what is left.

    \b
    cilium-py policy delete k8s:io.cilium.k8s.policy.name=web --yes
    cilium-py policy delete --all --dry-run
    """
    if every == bool(labels):
        raise WrongUsage("name labels, or say --all", "cilium-py policy list -o json shows the labels")
    form = where.output(output)
    wanted = _labels(labels)
    NodeConfig.load(where.paths)
    found = repository.load(where.paths).having(wanted)
    if not found and not every:
        raise CiliumPyError(f"no rule has the labels {' '.join(wanted)}")
    names = ", ".join(written.rule.name or f"rule {number}" for number, written in found.items())
    if dry_run:
        click.echo(f"Would delete {len(found)} rules: {names or 'there are none'}")
        return
    confirm(f"Delete {len(found)} rules ({names})?", yes)
    revision = _install(where, lambda current: current.replace(current.having(wanted), ()))
    if form.is_text:
        click.echo(f"Revision: {revision}")
    else:
        _print(form, [written.spec for written in found.values()], revision)


@policy.command("selectors", cls=SelectingCommand, subject=Subject("policy selectors", SelectorRow), arranges=True)
@click.option("-v", "--verbose", is_flag=True, help="all labels of the rules, not only their names")
@output_option
@settings
def selectors(where: Settings, verbose: bool, output: str | None) -> None:
    """Show which identities each selector of the rules means now.

    \b
    cilium-py policy selectors
    cilium-py policy selectors --where 'users > 1' --columns selector,users
    cilium-py policy selectors -o json | jq '.[] | select(.identities == []).selector'
    """
    form = where.output(output)
    rows = list(_selectors(where))
    if asked().is_given or not form.is_text:
        list_rows(where, form, rows, SelectorRow, SELECTORS)
        return
    for line in lines(SELECTORS.titles, _selector_cells(where, rows, verbose), "none"):
        click.echo(line.rstrip())


@policy.command()
@click.argument("revision", type=click.IntRange(0))
@time_option("--max-wait-time", "6m", "how long to wait at most", least=0)
@time_option("--sleep-time", "1s", "time between two looks", least=SHORTEST_PAUSE)
@time_option("--fail-wait-time", "1m", "how long to wait for an endpoint that failed to regenerate", least=0)
@settings
def wait(where: Settings, revision: int, max_wait_time: float, sleep_time: float, fail_wait_time: float) -> None:
    """Wait until every endpoint has a revision of the rules, or a later one; exit 1 if that does not happen.

    \b
    cilium-py policy wait 5 --max-wait-time 10s
    """
    from cilium_py.policy.wait import wait_for

    NodeConfig.load(where.paths)
    wait_for(where.paths, revision, max_wait_time, sleep_time, fail_wait_time)


policy.add_command(trace)


def read(path: str) -> list[Written]:
    """The rules of a file; `-` is standard input."""
    name = "<stdin>" if path == "-" else path
    with click.open_file(path, "rb") as file:
        data = file.read(document.MOST_BYTES + 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CiliumPyError(f"{name}: not text: {error.reason} at byte {error.start}") from error
    found = parse.parse_file(document.read(text, name))
    if not found:
        raise CiliumPyError(f"{name}: has no rules")
    return found


def _install(where: Settings, change: Any) -> int:
    """Change the rules, bring the endpoints to them, and return the new revision."""
    from cilium_py.policy import realize

    with repository.locked(where.paths):
        changed: Repository = change(repository.load(where.paths))
        for outcome in realize.install(where.paths, changed):
            for remark in outcome.remarks:
                say(f"note: endpoint {outcome.endpoint}: {remark}")
    return changed.revision


def _print(form: Any, specs: list[dict[str, Any]], revision: int) -> None:
    """The rules as JSON; in a machine format together with the revision."""
    if form.is_text:
        click.echo(json.dumps(specs, indent=2, ensure_ascii=False))
    else:
        write_value(sys.stdout.buffer, form, {"revision": revision, "policy": specs})


def _labels(words: tuple[str, ...]) -> list[str]:
    found = []
    for text in words:
        label = parse.rule_label(text)
        if label is None:
            raise WrongUsage(f"{text!r} is not a label", "write key=value, or source:key=value")
        found.append(label)
    return found


def _row(number: int, written: Written) -> RuleRow:
    rule = written.rule
    kinds = Counter((passage.direction, passage.deny) for passage in rule.passages)
    return RuleRow(
        rule=number,
        name=rule.name,
        selects=str(rule.subject),
        ingress=kinds[Direction.INGRESS, False],
        ingress_deny=kinds[Direction.INGRESS, True],
        egress=kinds[Direction.EGRESS, False],
        egress_deny=kinds[Direction.EGRESS, True],
        default_deny=[str(direction) for direction in Direction if rule.default_deny[direction]],
        labels=list(rule.labels),
        description=rule.description,
    )


def _sections(allow: int, deny: int) -> str:
    return ", ".join(f"{count} {word}" for count, word in ((allow, "allow"), (deny, "deny")) if count) or "-"


def _selectors(where: Settings) -> Iterator[SelectorRow]:
    from cilium_py.policy.identities import Identities

    identities = Identities.of(where.paths, NodeConfig.load(where.paths))
    users: dict[Any, list[Rule]] = {}
    for rule in rules_of(where).rules:
        for peer in dict.fromkeys(peer for passage in rule.passages for peer in passage.peers or ()):
            users.setdefault(peer, []).append(rule)
    for peer, using in sorted(users.items(), key=lambda item: str(item[0])):
        labels = list(dict.fromkeys(label for rule in using for label in rule.labels))
        yield SelectorRow(str(peer), labels, len(using), sorted(identities.select(peer)))


def _selector_cells(where: Settings, rows: list[SelectorRow], verbose: bool) -> Iterator[tuple[str, ...]]:
    names = {label: rule.name for rule in rules_of(where).rules for label in rule.labels}
    for row in rows:
        known = row.labels if verbose else list(dict.fromkeys(names[label] for label in row.labels))
        first, *others = [str(identity) for identity in row.identities] or [""]
        yield row.selector, " ".join(known), str(row.users), first
        for identity in others:
            yield "", "", "", identity
