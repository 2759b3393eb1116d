"""`health run` and `health serve`: the processes of health."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cilium_py.cli.context import Settings, say, settings
from cilium_py.cli.parameters import time_option
from cilium_py.errors import WrongUsage
from cilium_py.health.hello import PORT
from cilium_py.net.namespace import NetNamespace
from cilium_py.node.config import NodeConfig

port_option = click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(1, 65535),
    default=PORT,
    show_default=True,
    help="port of the responders",
)


def _metrics(_ctx: click.Context, _param: click.Parameter, text: str | None) -> tuple[str, int] | None:
    """`127.0.0.1:9962`, `[::1]:9962`, or a port alone, which stays on this machine."""
    if text is None:
        return None
    import ipaddress

    address, _, port = text.rpartition(":")
    plain = address.removeprefix("[").removesuffix("]") or "127.0.0.1"
    try:
        ipaddress.ip_address(plain)
        number = int(port)
    except ValueError as error:
        raise WrongUsage(f"--metrics {text!r}: not an address and a port", hint="e.g. 127.0.0.1:9962") from error
    if not 0 < number < 65536:
        raise WrongUsage(f"--metrics {text!r}: not a port")
    return plain, number


def _ratio(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    if not 0 <= value <= 1:  # nan is not either
        raise WrongUsage(f"--ratio {value}: not between 0 and 1")
    return value


@click.command()
@click.option(
    "--ratio", type=float, metavar="0..1", default=0.5, show_default=True, callback=_ratio,
    help="base interval: 10 s, plus this times 100 s; times ln(1 + addresses)",
)  # fmt: skip
@time_option("--base-interval", None, "base interval, instead of --ratio")
@time_option("--deadline", "10s", "of a probe")
@click.option(
    "--echoes", metavar="N", type=click.IntRange(1, 10), default=3, show_default=True, help="ICMP echoes of a probe"
)
@port_option
@click.option("--socket", "socket_path", metavar="PATH", type=click.Path(path_type=Path), help="socket of the API")
@click.option("--metrics", metavar="[ADDRESS:]PORT", callback=_metrics, help="serve Prometheus metrics there")
@click.option("--no-serve", is_flag=True, help="leave answering probes to `health serve`")
@time_option("--refresh", "1s", "how often to look for new nodes")
@time_option("--check", "1m", "how often to look after the health endpoint")
@time_option("--patience", "5m", "launch it anew after so long without an answer")
@click.option("--detach", "in_background", is_flag=True, help="go on in the background, once all is in place")
@click.option("--print-unit", is_flag=True, help="print a systemd unit that runs this command, and do nothing else")
@settings
@click.pass_context
def run(ctx: click.Context, /, where: Settings, print_unit: bool, in_background: bool, **given: Any) -> None:
    """Probe every node and every health endpoint, this node's own included, round after round.

    Answers the probes of others too, and keeps an eye on the node's health endpoint. Nodes that are added or removed
    meanwhile are taken up. One prober a node.

    \b
    cilium-py health run
    cilium-py health run --ratio 0.1 --metrics 9962
    cilium-py health run --print-unit >/etc/systemd/system/cilium-py-health.service
    """
    from cilium_py.health.daemon import Options
    from cilium_py.health.daemon import run as run_prober
    from cilium_py.health.prober import Manner
    from cilium_py.health.schedule import Schedule

    if print_unit:
        from cilium_py.health import unit

        click.echo(unit.text(where.paths, _program(), _words(ctx)), nl=False)
        return
    config = NodeConfig.load(where.paths)
    base = given["base_interval"]
    options = Options(
        manner=Manner(given["port"], given["deadline"], given["echoes"], config.mtu),
        schedule=Schedule(base) if base is not None else Schedule.of_ratio(given["ratio"]),
        socket=given["socket_path"].absolute() if given["socket_path"] else None,
        metrics=given["metrics"],
        serve=not given["no_serve"],
        refresh=given["refresh"],
        check=given["check"],
        patience=given["patience"],
    )
    if in_background:
        from cilium_py.health.detach import detach

        detach(lambda ready: run_prober(where.paths, options, ready))
    else:
        run_prober(where.paths, options, lambda: say(f"probing from {config.name}"))


@click.command()
@click.option("--endpoint", "in_endpoint", is_flag=True, help="answer in the health endpoint, not on the node")
@click.option("--listen", "addresses", multiple=True, metavar="ADDRESS", help="where to answer [the node's addresses]")
@port_option
@click.option("--pidfile", "pid_path", metavar="FILE", type=click.Path(path_type=Path), help="file for the process id")
@click.option("--detach", "in_background", is_flag=True, help="go on in the background, once it answers")
@settings
def serve(
    where: Settings,
    in_endpoint: bool,
    addresses: tuple[str, ...],
    port: int,
    pid_path: Path | None,
    in_background: bool,
) -> None:
    """Answer GET /hello at the node's addresses, or in the health endpoint. `health run` does the former too.

    \b
    cilium-py health serve
    cilium-py health serve --endpoint --detach
    """
    from cilium_py.health import endpoint, responder
    from cilium_py.health.detach import Ready, detach

    if in_endpoint:
        namespace: NetNamespace | None = endpoint.required(where.paths).namespace
        wanted = addresses or responder.EVERYWHERE
        path = pid_path or endpoint.pid_path(where.paths)
    else:
        config = NodeConfig.load(where.paths)
        namespace = config.namespace
        wanted = addresses or tuple(str(family.address) for family in config.families)
        path = pid_path or where.paths.state_dir / "health-responder.pid"
    path = path.absolute()

    def work(ready: Ready) -> None:
        responder.serve(wanted, port, path, namespace, ready)

    if in_background:
        detach(work)
    else:
        work(lambda: say(f"answering at {', '.join(wanted)} port {port}"))


def _program() -> list[str]:
    called = Path(sys.argv[0])
    return [str(called.absolute())] if called.name == "cilium-py" else [sys.executable, "-m", "cilium_py"]


def _words(ctx: click.Context) -> list[str]:
    """The options of this call, without --print-unit."""
    words = []
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in ("print_unit", "in_background") or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = ctx.params[name]
        if isinstance(value, Path):
            value = value.absolute()
        if isinstance(value, tuple):
            value = ":".join((f"[{value[0]}]" if ":" in value[0] else value[0], str(value[1])))
        words += [parameter.opts[0]] if isinstance(value, bool) else [parameter.opts[0], f"{value}"]
    return words
