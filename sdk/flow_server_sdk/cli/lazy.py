"""A group over a table of commands that imports a command only when it is run or asked of."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One command: where it is, what `--help` says of it, which extra it needs."""

    target: str
    help: str
    extra: str | None = None


# A module of ours that is missing is a defect, not an extra that is not installed.
_OURS = {"flow_contract", "flow_wire", "flow_server_sdk", "flow_server", "party_agent"}


class LazyGroup(click.Group):
    """A group over a table of entries."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, sorted."""
        del ctx
        return sorted(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, None for a name that is not in the table."""
        del ctx
        entry = self._entries.get(cmd_name)
        return None if entry is None else _load(entry)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, which says enough without an import."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self._entries[name].help) for name in self.list_commands(ctx)]
            )

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; a library that it needs and lacks is named with its extra."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            entry = self._entries.get(ctx.invoked_subcommand or "")
            if entry is None:
                raise
            raise _explained(error, entry) from error


def _load(entry: Entry) -> click.Command:
    module, _, name = entry.target.partition(":")
    try:
        command: click.Command = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        raise _explained(error, entry) from error
    return command


def _explained(error: ModuleNotFoundError, entry: Entry) -> Exception:
    package = (error.name or "").partition(".")[0]
    if entry.extra is None or package in _OURS:
        return error
    return click.ClickException(f"{package} is not installed; install fedflow[{entry.extra}]")
