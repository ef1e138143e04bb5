"""`fedflow completion`: what a shell needs to complete commands, names and ids.

Importing this costs click and nothing else.
"""

import click

VARIABLE = "_FEDFLOW_COMPLETE"


@click.command(short_help="Complete commands, names and ids in your shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    r"""Print what SHELL needs to complete commands, and names and ids that the server knows.

    \b
    bash   fedflow completion bash > ~/.local/share/bash-completion/completions/fedflow
    zsh    fedflow completion zsh > "${fpath[1]}/_fedflow"
    fish   fedflow completion fish > ~/.config/fish/completions/fedflow.fish
    """
    from click.shell_completion import get_completion_class  # noqa: PLC0415 - only here

    from flow_server_sdk.cli.commands import main  # noqa: PLC0415 - it imports this one

    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"click knows no completion for {shell}")
    click.echo(found(main, {}, "fedflow", VARIABLE).source())
