"""Where a setting's value comes from: the flag, else ``PERPS_<NAME>``, else a line of the TOML file, else the default.

Settings are every option of ``serve``, and those options of the other commands that say which venue and which key. What
an administrator's command acts on is no setting: a forgotten variable must not fill it in.

The TOML file is read only if ``--config`` or ``PERPS_CONFIG`` names it. A ``perps.toml`` that happens to lie in the
working directory may be anybody's: it could name a host of its author's, and the key or password would go there.
"""

import os
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import rich_click as click
from click.core import ParameterSource
from click.globals import get_current_context

from tools.addresses import HOST, PORT, PORT_MAX, reachable_host
from tools.argument_types import DATABASE_URL, VENUE_URL, Whole
from tools.errors import ToolError
from tools.output import show_line
from tools.venues import DATA_DIR, Place, place_of
from web.process.running_venues import ADMIN_KEY

ENV_PREFIX: Final = "PERPS_"
KEY_VARIABLE: Final = "PERPS_KEY"
"""The key to act with: of commands that take no ``--key`` the only variable for it, of the others that of ``--key``."""
CONFIG_VARIABLE: Final = "PERPS_CONFIG"
CONFIG_FILE: Final = Path("perps.toml")
"""The usual name of a TOML file. It is not read for its name, but whoever has one is told so."""

_CONFIG_USED: Final = "tools.settings.config"
_CONFIG_LINES: Final = "tools.settings.lines"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
R = TypeVar("R")


ACCESS: Final = frozenset(("url", "key", "data-dir", "database-url"))
"""Settings of every command that has them: how to reach the venue, and where its data lies."""


class SettingsCommand(click.RichCommand):
    """A command whose settings ``--some-name`` are also ``PERPS_SOME_NAME`` and a line ``some-name = …`` of TOML."""

    settings: frozenset[str] | None = ACCESS
    """Which options are settings; None: all."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in _settings(self):
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
                envvar=CONFIG_VARIABLE,
                show_envvar=True,
                help="A TOML file with one setting a line, such as: port = 8001",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run it. An error remembers whether to show it as JSON."""
        for line in _without_effect(ctx):
            show_line(f"perps: warning: {line}", err=True)
        try:
            return super().invoke(ctx)
        except ToolError as error:
            error.as_json = bool(ctx.params.get("as_json"))
            raise


class ServeCommand(SettingsCommand):
    """A command whose every option is a setting."""

    settings = None


class SettingsGroup(click.RichGroup):
    """A group of commands with settings. For a misspelt command it names the nearest one."""

    command_class = SettingsCommand

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names. Errors: UsageError."""
        known, name = self.list_commands(ctx), args[0]
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(name, known, 1)
            ctx.fail(
                f"there is no command {name!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"the commands are: {', '.join(known)}")
            )
        return super().resolve_command(ctx, args)


@dataclass(frozen=True)
class Access:
    """A running venue, and the key to act with."""

    url: str
    key: str | None
    key_from: str = ""
    """Where the key was found, in words for an error message."""
    data_dir: Path = DATA_DIR
    """The venue's directory, as far as anybody said."""


def url_option(function: Decorated) -> Decorated:
    """``--url``: the running venue. Without it the command finds the venue: see ``access_to``."""
    return click.option(
        "--url",
        type=VENUE_URL,
        help="The venue's address.  [default: that of the data directory or the host and port in your settings,"
        " else of the only venue that you run]",
    )(function)


def _own_url() -> str:
    """The address of a venue that was started with these settings. Errors: UsageError."""
    host = _serve_setting("host", HOST, reachable_host)
    return f"http://{host}:{_serve_setting('port', str(PORT), _port)}"


def _port(text: str) -> int:
    return Whole(0, PORT_MAX).convert(text, None, None)


def _serve_setting(name: str, default: str, convert: Callable[[str], R]) -> R:
    """A setting of ``serve`` for a command that has no such option. Errors: UsageError."""
    text, where = _said_to_serve(name) or (default, "")
    try:
        return convert(text)
    except (ValueError, click.BadParameter) as error:
        raise click.UsageError(f"{where}: {error}") from None


def _said_to_serve(name: str) -> tuple[str, str] | None:
    """What a variable or a line of the file says of a setting of ``serve``, and which of them."""
    context = get_current_context()
    lines: Mapping[str, object] = context.meta.get(_CONFIG_LINES, {})
    variable = ENV_PREFIX + name.upper()
    if text := os.environ.get(variable):
        return text, variable
    if name not in lines:
        return None
    where = f"{name} in {context.meta[_CONFIG_USED]}"
    return _one_text(lines[name], where), where


def access_options(function: Callable[..., R]) -> Callable[..., R]:
    """``--url``, ``--key`` and ``--data-dir`` (where the key lies if none is given). The command gets ``access``."""

    @wraps(function)
    def run(*args: Any, url: str | None, key: str | None, data_dir: Path | None, **others: Any) -> R:
        return function(*args, access=access_to(url, key, data_dir), **others)

    return url_option(key_option(data_dir_option(run)))


def public_access_options(function: Callable[..., R]) -> Callable[..., R]:
    """As ``access_options``, for what anybody may ask: no key is needed, and none is looked for."""

    @wraps(function)
    def run(*args: Any, url: str | None, key: str | None, data_dir: Path | None, **others: Any) -> R:
        return function(*args, access=access_to(url, key, data_dir, needs_key=False), **others)

    return url_option(key_option(data_dir_option(run)))


def access_to(url: str | None, key: str | None, data_dir: Path | None, *, needs_key: bool = True) -> Access:
    """The venue that is meant, and the key to act with: the one given, else the administrator's in the data directory.

    Errors: UsageError; VenueUnreachable if no venue runs where one is looked for.
    """
    place = find_place(url, data_dir, has_key=key is not None or not needs_key)
    if key is None and not needs_key:
        return Access(place.url, None, data_dir=place.data_dir)
    return Access(place.url, find_key(key, place.data_dir), _key_from(key, place.data_dir), place.data_dir)


def find_place(url: str | None, data_dir: Path | None, *, has_key: bool) -> Place:
    """The venue that is meant. ``has_key``: no key from a data directory is needed. Errors: as ``access_to``."""
    is_own_named = any(_said_to_serve(name) is not None for name in ("host", "port"))
    return place_of(url, data_dir, _own_url(), is_own_named=is_own_named, has_key=has_key)


def key_option(function: Decorated) -> Decorated:
    """``--key``."""
    return click.option(
        "--key", envvar="PERPS_ADMIN_KEY", help="The API key.  [default: the key in <data-dir>/admin.key]"
    )(function)


def _key_from(key: str | None, data_dir: Path) -> str:
    context = get_current_context()
    parameter = next(parameter for parameter in context.command.params if parameter.name == "key")
    return str(data_dir / ADMIN_KEY) if key is None else origin(parameter, context)


def data_dir_option(function: Decorated) -> Decorated:
    """``--data-dir``: where the venue keeps its embedded database and the administrator's key. None: no setting."""
    return data_dir_option_else(f"that of the only venue that runs, or {DATA_DIR}")(function)


def data_dir_option_else(default: str) -> Callable[[Decorated], Decorated]:
    """``--data-dir`` of a command with this default, which it sets itself in place of None."""
    return click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help=f"The venue's directory: database and admin key.  [default: {default}]",
    )


def database_url_option(function: Decorated) -> Decorated:
    """``--database-url``: a PostgreSQL of the caller's own; ``DATABASE_URL`` sets it too."""
    return database_url_option_else("the embedded server in the data directory")(function)


def database_url_option_else(default: str) -> Callable[[Decorated], Decorated]:
    """``--database-url`` of a command that uses something else when there is none."""
    return click.option(
        "--database-url",
        type=DATABASE_URL,
        envvar="DATABASE_URL",
        help=f"A PostgreSQL database: postgresql://user@host/name.  [default: {default}]",
    )


def json_option(function: Decorated) -> Decorated:
    """``--json``: for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def find_key(key: str | None, data_dir: Path) -> str:
    """The key to act with: the one given, else the administrator's in the data directory. Errors: UsageError."""
    path = data_dir / ADMIN_KEY
    if key is None:
        try:
            key = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise click.UsageError(
                f"no key: {path} cannot be read ({reason}); give --key, or the venue's --data-dir"
            ) from None
    return read_key(key)


def read_key(text: str) -> str:
    """A key as it was given, without white space around it. Errors: UsageError."""
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise click.UsageError("the key is empty, or has characters that no key has: check --key or admin.key")
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
        return f"{setting_name(parameter)} in {context.meta[_CONFIG_USED]}"
    return max(parameter.opts, key=len)


def _use_config(context: click.Context, parameter: click.Parameter, path: Path | None) -> None:
    """Let the TOML file that was named, if any, stand in for the defaults of this command's options."""
    if path is None:
        return
    lines = _read(path)
    known = {setting_name(option) for option in _all_settings(context.find_root())}
    for name, line in lines.items():
        if name not in known:
            raise click.UsageError(f"{path}: {_unknown(name, line, known)}")
    defaults: dict[str, str | list[str]] = {}
    for option in _settings(context.command):
        name = setting_name(option)
        if name in lines and option.name:
            defaults[option.name] = _as_given(lines[name], f"{name} in {path}", is_list=option.multiple)
    context.default_map = defaults
    context.meta[_CONFIG_LINES] = lines
    context.meta[_CONFIG_USED] = path


def _without_effect(context: click.Context) -> Iterator[str]:
    """Lines about what looks like a setting and is none: a file that nobody named, a variable of an unknown name."""
    if _CONFIG_USED not in context.meta and CONFIG_FILE.is_file():
        yield f"{CONFIG_FILE} in this directory is not read; to use it, add --config {CONFIG_FILE}"
    given = sorted(name for name in os.environ if name.startswith(ENV_PREFIX))
    if not given:
        return
    known = {CONFIG_VARIABLE}
    for option in _all_settings(context.find_root()):
        known.update(option.envvar or ())
    for name in given:
        if name not in known:
            near = get_close_matches(name.removeprefix(ENV_PREFIX), [one.removeprefix(ENV_PREFIX) for one in known], 1)
            yield f"{name} is not a setting and is ignored" + (f"; did you mean {ENV_PREFIX}{near[0]}?" if near else "")


def _unknown(name: str, value: object, known: Collection[str]) -> str:
    """The error message for a line that is no setting."""
    if isinstance(value, dict):
        return f"remove the line [{name}]: settings are not in a table, write only: port = 8001"
    near = get_close_matches(name, known, 1, 0.7)
    return f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else "")


def _read(path: Path) -> Mapping[str, object]:
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"{path}: {error}") from None
    return {name.replace("_", "-"): value for name, value in lines.items()}


def _as_given(value: object, where: str, *, is_list: bool) -> str | list[str]:
    """A TOML value as text, as on the command line: the option's own type checks it."""
    if not is_list:
        return _one_text(value, where)
    return [_text(item, where) for item in (value if isinstance(value, list) else [value])]


def _one_text(value: object, where: str) -> str:
    if isinstance(value, list):
        raise click.UsageError(f"{where}: give one value, not a list")
    return _text(value, where)


def _text(value: object, where: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise click.UsageError(f"{where}: give a value, not a table")
    return str(value)


def _settings(command: click.Command) -> Iterator[click.Option]:
    """The options of a command that are settings."""
    chosen = command.settings if isinstance(command, SettingsCommand) else frozenset[str]()
    for parameter in command.params:
        if not isinstance(parameter, click.Option) or not parameter.expose_value:
            continue
        if chosen is None or setting_name(parameter) in chosen:
            yield parameter


def _all_settings(context: click.Context) -> Iterator[click.Option]:
    """The settings of a context's command and of every command below it."""
    command = context.command
    yield from _settings(command)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _all_settings(click.Context(below, info_name=name, parent=context))
