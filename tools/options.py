"""Where a setting's value comes from: flag, then ``PERPS_<NAME>``, then a line of the TOML file, then the default."""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import rich_click as click
from click.core import ParameterSource

from tools.values import DATABASE_URL, VENUE_URL

ENV_PREFIX: Final = "PERPS_"
CONFIG_FILE: Final = Path("perps.toml")
"""Read when it lies in the working directory and ``--config`` names no other."""

_CONFIG_USED: Final = "tools.options.config"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
R = TypeVar("R")


class SettingsCommand(click.RichCommand):
    """A command whose every option ``--some-name`` is also ``PERPS_SOME_NAME`` and a line ``some-name = …`` of TOML."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in _options(self):
            given = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
            option.envvar = [env_name(option), *given]
            option.show_envvar = True
        self.params.append(
            click.Option(
                ["--config"],
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                is_eager=True,
                expose_value=False,
                callback=_use_config,
                envvar=f"{ENV_PREFIX}CONFIG",
                show_envvar=True,
                help=f"A TOML file with a line per option.  [default: {CONFIG_FILE} if it is there]",
            )
        )


class SettingsGroup(click.RichGroup):
    """A group of commands with settings."""

    command_class = SettingsCommand


@dataclass(frozen=True)
class Access:
    """A running venue, and the key to act with."""

    url: str
    key: str | None


def url_option(function: Decorated) -> Decorated:
    """``--url``: the running venue."""
    return click.option(
        "--url", type=VENUE_URL, default="http://127.0.0.1:8000", show_default=True, help="The venue's address."
    )(function)


def access_options(function: Callable[..., R]) -> Callable[..., R]:
    """``--url``, ``--key`` and ``--data-dir`` (where the key lies if none is given), handed on as ``access``."""

    @wraps(function)
    def run(*args: Any, url: str, key: str | None, data_dir: Path, **others: Any) -> R:
        return function(*args, access=Access(url, find_key(key, data_dir)), **others)

    key = click.option("--key", envvar="PERPS_ADMIN_KEY", help="The key to act with.  [default: <data-dir>/admin.key]")
    return url_option(key(data_dir_option(run)))


def data_dir_option(function: Decorated) -> Decorated:
    """``--data-dir``: where the venue keeps its embedded database and the administrator's key."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("data"),
        show_default=True,
        help="The venue's data directory.",
    )(function)


def database_url_option(function: Decorated) -> Decorated:
    """``--database-url``: a PostgreSQL of the caller's own; ``DATABASE_URL`` counts too."""
    return click.option(
        "--database-url",
        type=DATABASE_URL,
        envvar="DATABASE_URL",
        help="A PostgreSQL server.  [default: an embedded one in the data directory]",
    )(function)


def json_option(function: Decorated) -> Decorated:
    """``--json``: for machines."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def find_key(key: str | None, data_dir: Path) -> str:
    """The key to act with: the one given, else the administrator's in the data directory. Errors: UsageError."""
    path = data_dir / "admin.key"
    if key is None:
        try:
            key = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text"
            raise click.UsageError(f"no --key given, and {path} cannot be read: {reason}") from None
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise click.UsageError("the key is empty or has characters that no key has")
    return key


def env_name(option: click.Option) -> str:
    """The environment variable of an option."""
    return ENV_PREFIX + setting_name(option).replace("-", "_").upper()


def setting_name(option: click.Option) -> str:
    """An option's name in the TOML file: its first long flag without the dashes."""
    return next(flag for flag in option.opts if flag.startswith("--"))[2:]


def origin(parameter: click.Parameter, context: click.Context) -> str:
    """Where a parameter's value came from, in words for an error message."""
    source = context.get_parameter_source(parameter.name or "")
    if not isinstance(parameter, click.Option):
        return (parameter.metavar or parameter.name or "").upper()
    if source is ParameterSource.ENVIRONMENT:
        names = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar or ()
        return next((name for name in names if os.environ.get(name)), names[0])
    if source is ParameterSource.DEFAULT_MAP:
        return f"{setting_name(parameter)} in {context.meta.get(_CONFIG_USED, CONFIG_FILE)}"
    return max(parameter.opts, key=len)


def _use_config(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    """Let the TOML file, if there is one, stand in for the defaults of this command's options."""
    path = value or CONFIG_FILE
    if value is None and not path.is_file():
        return
    lines = _read(path)
    known = {setting_name(option) for option in _all_options(context.find_root())}
    for name in lines:
        if name not in known:
            raise click.UsageError(f"{path}: {name} is not a setting")
    defaults: dict[str, str | list[str]] = {}
    for option in _options(context.command):
        name = setting_name(option)
        if name in lines and option.name:
            defaults[option.name] = _as_given(lines[name], f"{name} in {path}", is_list=option.multiple)
    context.default_map = defaults
    context.meta[_CONFIG_USED] = path


def _read(path: Path) -> Mapping[str, object]:
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"{path}: {error}") from None
    return {name.replace("_", "-"): value for name, value in lines.items()}


def _as_given(value: object, where: str, *, is_list: bool) -> str | list[str]:
    """A TOML value as it would stand on the command line: the option's own type then has the last word."""
    if isinstance(value, list):
        if not is_list:
            raise click.UsageError(f"{where}: one value, not a list")
        return [_text(item, where) for item in value]
    return [_text(value, where)] if is_list else _text(value, where)


def _text(value: object, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise click.UsageError(f"{where}: a value, not a table")
    return str(value)


def _options(command: click.Command) -> Iterator[click.Option]:
    """The options of a command that are settings."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.expose_value and parameter.name:
            yield parameter


def _all_options(context: click.Context) -> Iterator[click.Option]:
    """The options of a context's command and of every command below it."""
    command = context.command
    yield from _options(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _all_options(click.Context(below, info_name=name, parent=context))
