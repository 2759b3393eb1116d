"""`policy trace`: what becomes of a packet, by the rules and by the programs."""

from __future__ import annotations

import sys
from typing import Any

import click

from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.errors import CiliumPyError, WrongUsage
from cilium_py.policy.rehearsal import Answer
from cilium_py.policy.trace import Actor, Step, Trace, Tracer, parse_target
from cilium_py.render import write_value


@click.command()
@click.option("--from", "source", metavar="ENDPOINT|IP", help="who sends: an endpoint's id or name, or an address")
@click.option("--to", "target", metavar="ENDPOINT|IP[:PORT[/PROTOCOL]]", help="to whom; without a port, a ping")
@click.option("--from-labels", metavar="LABELS", help="who sends, by labels, separated by commas")
@click.option("--to-labels", metavar="LABELS", help="to whom, by labels")
@click.option("--dport", metavar="PORT[/PROTOCOL]", help="the port, with --to-labels")
@click.option("--rules-only", is_flag=True, help="do not send the packet through the programs")
@output_option
@settings
def trace(
    where: Settings,
    source: str | None,
    target: str | None,
    from_labels: str | None,
    to_labels: str | None,
    dport: str | None,
    rules_only: bool,
    output: str | None,
) -> None:
    """Show which rule and which entry decide over a connection's first packet, and what the programs do with it.

    The packet goes through copies of the endpoints' programs over their live policy maps: nothing is sent and no
    connection entered. Exit 1 if the programs do not do what the rules say.

    \b
    cilium-py policy trace --from pod1 --to pod2:80/TCP
    cilium-py policy trace --from 192.0.2.7 --to 3
    cilium-py policy trace --from-labels app=web --to-labels app=db --dport 5432
    """
    form = where.output(output)
    if (source is None) == (from_labels is None) or (target is None) == (to_labels is None):
        raise WrongUsage("name both ends", "--from or --from-labels, and --to or --to-labels")
    tracer = Tracer(where.paths)
    name, protocol, port = parse_target(target) if target is not None else ("", None, 0)
    if dport is not None:
        _, protocol, port = parse_target(f"x:{dport}")
    sender = tracer.having(from_labels.split(",")) if from_labels is not None else tracer.actor(source or "")
    receiver = tracer.having(to_labels.split(",")) if to_labels is not None else tracer.actor(name)
    found = tracer.trace(sender, receiver, protocol, port)
    answer = None if rules_only else _rehearse(where, tracer, found)
    if form.is_text:
        for line in _text(found, answer):
            click.echo(line)
    else:
        write_value(sys.stdout.buffer, form, _document(found, answer))
    if answer is not None and _differs(found, answer):
        raise CiliumPyError(
            "the programs do not do what the rules say", "cilium-py endpoint regenerate --all brings them to the rules"
        )


def _rehearse(where: Settings, tracer: Tracer, found: Trace) -> Answer | None:
    """Both answers can be had if both ends have addresses."""
    if found.packet is None:
        return None
    from cilium_py.policy.rehearsal import rehearse

    ends = found.source.endpoint, found.destination.endpoint
    return rehearse(where.paths, tracer.node, found.packet, *ends, found.source.identity)


def _differs(found: Trace, answer: Answer) -> bool:
    """Whether the programs do something else than the rules say. What must authenticate first does not pass yet."""
    passes = found.allowed and not any(step.auth for step in found.steps)
    return answer.by_policy if passes else answer.allowed


def _text(found: Trace, answer: Answer | None) -> list[str]:
    said = [f"From: {found.source}", f"To:   {found.destination}, {found.what}", ""]
    said += [_step(step) for step in found.steps]
    said += ["", f"Rules:    {_verdict(found.allowed)}"]
    if answer is not None:
        why = f" ({answer.reason}, {answer.direction})" if answer.reason else ""
        word = _verdict(answer.allowed) if answer.allowed or answer.by_policy else "dropped, but not by policy"
        said.append(f"Programs: {word}{why}")
    return said


def _step(step: Step) -> str:
    where = f"{step.direction} at {f'endpoint {step.endpoint}' if step.endpoint else 'the labels'}"
    if not step.entry:
        return f"{where}: {_verdict(step.allowed)}, no entry is for it"
    proxy = f", through the proxy at port {step.proxy_port}" if step.proxy_port else ""
    auth = ", once both have authenticated" if step.auth else ""
    origin = "; ".join(step.rules) or "none: written by hand"
    return f"{where}: {_verdict(step.allowed)}{proxy}{auth}\n  entry: {step.entry}\n  rules: {origin}"


def _verdict(allowed: bool) -> str:
    return "allowed" if allowed else "denied"


def _document(found: Trace, answer: Answer | None) -> dict[str, Any]:  # what json writes
    return {
        "from": _actor(found.source),
        "to": _actor(found.destination),
        "protocol": found.protocol,
        "port": found.port,
        "steps": list(found.steps),
        "allowed": found.allowed,
        "programs": answer,
    }


def _actor(actor: Actor) -> dict[str, Any]:  # what json writes
    return {
        "endpoint": actor.endpoint.id if actor.endpoint else None,
        "address": str(actor.address) if actor.address else None,
        "identity": actor.identity,
        "labels": list(actor.labels),
    }
