"""The parser: each command is the function of its name in the module of its name in edgekit.cli.commands.

A module is imported when its command runs or shows its help; the names and the first lines of help stand in
edgekit.COMMANDS.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
import typer.main

import edgekit
from edgekit.cli.output import NORMAL, VERBOSITY, Outcome
from edgekit.errors import EnvironmentRefused, UsageError

QUIET_HELP = "Show no progress; results, warnings and errors remain."
VERBOSE_HELP = "Show each step on a line of its own, with the time."
ANYWHERE = ("weights", "devices", "doctor")


class Command(typer.core.TyperCommand):
    """A command that refuses an option given twice, where only the last would count and nobody would know.

    It also refuses to work in a folder that was removed: torch ends the process there, and relative paths lead nowhere.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """As usual, after a look at the options in the order in which they were given."""
        if not ctx.resilient_parsing:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
            for option in given:
                if given.count(option) > 1 and not (option.multiple or getattr(option, "is_flag", False)):
                    name, metavar = option.opts[0], str(option.metavar)
                    form = f", as {name} {metavar}" if metavar[1:] == f",{metavar[0]}" else ""
                    raise UsageError(f"{name} was given more than once", f"give it once{form}")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """As usual, where there is a folder to work in."""
        if self.name not in ANYWHERE:
            try:
                Path.cwd()
            except OSError as error:
                raise EnvironmentRefused("the working folder was removed", "cd into one that is there") from error
        return super().invoke(ctx)


def _heed(option: typer.CallbackParam, wanted: bool) -> None:
    if wanted:
        if VERBOSITY.get() not in (NORMAL, option.name):
            raise UsageError("--quiet and --verbose were both given", "give one of them")
        VERBOSITY.set(str(option.name))


def _verbosity() -> list[Any]:
    """The options of every command that say how much it tells of itself; no command's function sees them."""
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)

    @alone.command()
    def told(
        quiet: Annotated[bool, typer.Option("--quiet", callback=_heed, help=QUIET_HELP)] = False,
        verbose: Annotated[bool, typer.Option("--verbose", callback=_heed, help=VERBOSE_HELP)] = False,
    ) -> None: ...

    options = typer.main.get_command(alone).params
    for option in options:
        option.expose_value = False
    return options


class Commands(Mapping[str, Any]):
    """The parsers of all commands by name, each made when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        if name not in edgekit.COMMANDS:
            raise KeyError(name)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        function = getattr(importlib.import_module(f"edgekit.cli.commands.{name}"), name)
        alone.command(name, cls=Command)(function)
        made = typer.main.get_command(alone)
        made.params += _verbosity()
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(edgekit.COMMANDS)

    def __len__(self) -> int:
        return len(edgekit.COMMANDS)


class Group(typer.core.TyperGroup):
    """The command `edgekit`, which makes the parser of one command only."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.params += _verbosity()
        self.commands = Commands()  # type: ignore[assignment]  # it is only read

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands from the table, as it needs none of their parsers."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in edgekit.COMMANDS.items()])


# Plain help: rich's takes three times as long to import and wraps what fits.
app = typer.Typer(
    name="edgekit", cls=Group, rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=False
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"edgekit {edgekit.__version__}")
        raise typer.Exit


@app.callback()
def _edgekit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Export convolutional networks to files for devices; measure cost and accuracy.

    \b
    Start with:
      edgekit demo                                       the whole way, offline
      edgekit models                                     the networks
      edgekit export mobilenet --alpha 0.5 --res 160     files in artifacts/
      edgekit export mynet.py:build --input 1,3,224,224  of your own network
      edgekit COMMAND --help                             options and an example

    \b
    Exit codes:
      0 done   1 a bug of edgekit   2 bad arguments or input files
      3 a gate failed   4 device unreachable   5 a backend is missing
      6 invalid measurement   7 disk full, read-only, locked   130 interrupted
    """


def command(arguments: list[str]) -> Outcome | None:
    """Parse `arguments` and run their command. None: it printed its help or version."""
    if "_EDGEKIT_COMPLETE" in os.environ:
        with suppress(SystemExit):
            app(prog_name="edgekit")  # answers the shell, and exits
        return None
    parser = typer.main.get_command(app)
    VERBOSITY.set(NORMAL)
    try:
        with parser.make_context("edgekit", list(arguments)) as context:
            outcome: Outcome = parser.invoke(context)
            return outcome
    except typer.Exit as stop:
        if stop.exit_code:
            raise
        return None
