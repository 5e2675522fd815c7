"""``perps``: the commands, how their errors are told, and the exit codes.

Exit codes: 0 fine · 1 found something, or failed · 2 usage. An error is one line on stderr: ``perps: error: …``.
"""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final

import rich_click as click

from tools.errors import ToolError
from tools.options import SettingsGroup, origin

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130

COMMANDS: Final[Mapping[str, str]] = {
    "serve": "tools.serve:serve",
    "market": "tools.admin:market",
    "user": "tools.admin:user",
    "key": "tools.admin:key",
    "stats": "tools.admin:stats",
    "verify": "tools.audit.verify:verify",
    "snapshot": "tools.snapshot:snapshot",
    "feed": "tools.feeds.command:feed",
    "bench": "tools.benchmark.command:bench",
}
"""Where each command lives: ``module:name``, imported when it is asked for."""


class _LazyGroup(SettingsGroup):
    """Imports a command when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is not a command")
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("perps"), prog_name="perps")
def perps() -> None:
    """A self-hosted venue for perpetual futures.

    Every option is also an environment variable PERPS_<NAME> and a line of an optional TOML file.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        code = perps.main(args=arguments, prog_name="perps", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit:  # rich-click has shown the help of a group that was given no command
        return USAGE
    except click.ClickException as error:
        return _say(_in_one_line(error), error.exit_code if isinstance(error, click.FileError) else USAGE)
    except ToolError as error:
        return _say(str(error), FAILED)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # whoever read us has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code if isinstance(code, int) else 0


def _in_one_line(error: click.ClickException) -> str:
    """What was wrong, and with which flag, variable or line of the TOML file."""
    parameter, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter) and parameter:
        return f"{origin(parameter, context)}: {error.message}" if context else error.message
    return error.format_message()


def _say(problem: str, code: int) -> int:
    print("perps: error: " + " ".join(problem.split()), file=sys.stderr)
    return code
