"""`dativo completion`: the script that teaches a shell to complete commands, options, plugins and jobs."""

from __future__ import annotations

import click


@click.command(
    name="completion",
    help="""\b
  dativo completion bash > ~/.local/share/bash-completion/completions/dativo
  dativo completion zsh > "${fpath[1]}/_dativo"
  dativo completion fish > ~/.config/fish/completions/dativo.fish

Print the shell's completion script: commands, options, installed plugins and jobs.
""",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a completion script."""
    from click.shell_completion import get_completion_class

    from dativo.cli.group import root

    kind = get_completion_class(shell)
    assert kind is not None
    # The template without click's check, which would start the shell to ask for its version.
    made = kind(root, {}, "dativo", "_DATIVO_COMPLETE")
    print(made.source_template % made.source_vars())
