"""`completion`"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from cilium_py.cli.main import COMPLETING, cilium_py


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    cilium-py completion bash >/etc/bash_completion.d/cilium-py
    cilium-py completion zsh >"${fpath[1]}/_cilium-py"
    cilium-py completion fish >~/.config/fish/completions/cilium-py.fish
    """
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(cilium_py, {}, "cilium-py", COMPLETING).source())
