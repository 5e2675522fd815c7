"""The command ``perps`` itself: its sub-commands by name, its help page, and how it shows errors."""

import importlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

import rich_click as click

from tools.cli import COMMANDS, FAILED, USAGE, Loading
from tools.errors import ToolError
from tools.output import buffer_stdout, show_json, show_line
from tools.settings import SettingsGroup, origin


class _LazyGroup(SettingsGroup):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        with Loading():
            command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is not a command")
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("perps"), prog_name="perps")
@click.command_panel("Run a venue", commands=["serve"])
@click.command_panel(
    "Administer a running venue", commands=["apply", "market", "user", "key", "stats", "monitor", "feed"]
)
@click.command_panel("Trade", commands=["trade", "agents", "mcp"])
@click.command_panel("Check what is stored", commands=["verify", "journal", "reconcile"])
@click.command_panel("Keep it", commands=["snapshot", "archive", "restore"])
@click.command_panel("Measure this machine", commands=["bench"])
def perps() -> None:
    """A self-hosted venue for perpetual futures.

    To see a market that moves: perps serve --demo. The other commands find the venue that you run on this machine, and
    ask if there are several.

    See the options of a command: perps COMMAND --help. Every option of serve can also be an environment variable
    (--port is PERPS_PORT) or a line of a TOML file (--config).
    """


def run(arguments: Sequence[str] | None) -> int:
    """Run a command; return the exit code. Raises ``KeyboardInterrupt``."""
    _open_standard_streams()
    buffer_stdout()
    try:
        code = perps.main(args=arguments, prog_name="perps", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as ended:  # how click ends at a broken pipe, or after the help of a group without a command
        return FAILED if ended.code == FAILED else USAGE
    except click.ClickException as error:
        return _say(_in_one_line(error), error.exit_code if isinstance(error, click.FileError) else USAGE)
    except ToolError as error:
        if error.as_json:
            show_json({"error": error.record()})
        return _say(str(error), FAILED)
    except click.Abort:
        raise KeyboardInterrupt from None
    except BrokenPipeError:  # the reader of our output has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else 0


def _open_standard_streams() -> None:
    """Open the null device for each of stdin, stdout and stderr that was closed when the program started.

    Otherwise the next file or socket to be opened would get that number, and receive what is printed.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):  # in the order of their numbers
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115 - for as long as we run
            os.set_inheritable(stream.fileno(), True)
            setattr(sys, name, stream)


def _in_one_line(error: click.ClickException) -> str:
    """What is wrong, and in which flag, variable or line of the TOML file."""
    parameter, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter) and parameter:
        return f"{origin(parameter, context)}: {error.message}" if context else error.message
    return error.format_message()


def _say(problem: str, code: int) -> int:
    show_line("perps: error: " + " ".join(problem.split()), err=True)
    return code
