"""`status`"""

from __future__ import annotations

import sys

import click

from cilium_py.cli.context import Settings, output_option, settings
from cilium_py.cli.offline import report_of
from cilium_py.endpoint.overview import Overview, overview
from cilium_py.offline import answers
from cilium_py.render import write_value


@click.command()
@output_option
@settings
def status(where: Settings, output: str | None) -> int:
    """Show the state of the node; exit 1 if something of it is not as it should be.

    Where a prober runs, the nodes follow that it does not reach; they leave the exit code as it is.

    \b
    cilium-py status
    cilium-py status -o json | jq -e '.problems == []'
    """
    form = where.output(output)
    found = overview(where.paths) if where.recording is None else answers.node(where.paths)
    cluster = report_of(where)
    if form.is_text:
        for name, value in lines(found):
            click.echo(f"{name + ':':<18}{value}")
        if cluster is not None:
            from cilium_py.health import text

            for line in text.failing(cluster):
                click.echo(line)
    else:
        document = cluster.document() if cluster is not None else None
        write_value(sys.stdout.buffer, form, {**found._asdict(), "cluster_health": document})
    return 1 if found.problems else 0


def lines(found: Overview) -> list[tuple[str, str]]:
    lines = [("Node", found.node + (f" (netns {found.netns})" if found.netns else ""))]
    for name, own, router, pods in (
        ("IPv4", found.ipv4, found.ipv4_router, found.ipv4_pods),
        ("IPv6", found.ipv6, found.ipv6_router, found.ipv6_pods),
    ):
        lines.append((name, f"{own}, router {router}, pods {pods}" if own else "Disabled"))
    states = ", ".join(f"{count} {state}" for state, count in found.endpoints.items())
    lines += [
        ("BPF", f"{found.bpf_root}: {counted(found.maps, 'map')}, {counted(found.programs, 'program')} attached"),
        ("State", found.state_dir),
        ("Identities", str(found.identities)),
        ("Endpoints", states or "none"),
        ("Node health", counted(len(found.problems), "problem") if found.problems else "OK"),
    ]
    return [*lines, *(("Problem", problem) for problem in found.problems)]


def counted(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"
