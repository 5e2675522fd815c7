"""Flag, then environment, then TOML, then default; and every mistake is one clear line and exit code 2."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich_click as click

import web.compose
from tools import commands
from tools.cli import COMMANDS, main
from tools.settings import SettingsCommand, env_name, setting_name

ROOT = Path(__file__).parents[2]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[web.compose.ServeSettings]:
    """What ``perps serve`` was told, instead of serving."""
    told: list[web.compose.ServeSettings] = []

    def serve(settings: web.compose.ServeSettings, companion: web.compose.Companion | None = None) -> int:
        told.append(settings)
        return 0

    monkeypatch.setattr(web.compose, "serve", serve)
    return told


def leaves(command: click.Command, context: click.Context) -> Iterator[click.Command]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from leaves(below, context)
    else:
        yield command


@pytest.mark.parametrize(
    ("flag", "environment", "line", "port"),
    [
        (None, None, None, 8000),
        (None, None, "port = 8001", 8001),
        (None, None, 'port = "8001"', 8001),
        (None, "8002", "port = 8001", 8002),
        ("8003", "8002", "port = 8001", 8003),
        ("8003", None, "port = 8001", 8003),
        ("8003", "8002", None, 8003),
    ],
)
def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(
    flag: str | None,
    environment: str | None,
    line: str | None,
    port: int,
    served: list[web.compose.ServeSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if environment:
        monkeypatch.setenv("PERPS_PORT", environment)
    if line:
        Path("perps.toml").write_text(line)
    assert main(["serve", *(["--port", flag] if flag else [])]) == 0
    assert served[0].port == port


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, None),
        ({"DATABASE_URL": "postgres://a/b"}, "postgres://a/b"),
        ({"DATABASE_URL": "postgres://a/b", "PERPS_DATABASE_URL": "postgresql://c/d"}, "postgresql://c/d"),
        ({"DATABASE_URL": "postgresql://p@/p?host=%2Ftmp&port=5432"}, "postgresql://p@/p?host=%2Ftmp&port=5432"),
    ],
)
def test_the_database_url_may_come_from_either_variable(
    environment: dict[str, str],
    url: str | None,
    served: list[web.compose.ServeSettings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["serve"]) == 0
    assert served[0].database_url == url


def test_the_admin_key_comes_from_the_environment_only(
    served: list[web.compose.ServeSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERPS_ADMIN_KEY", "a-secret")
    assert main(["serve"]) == 0
    assert served[0].admin_key == "a-secret"
    assert main(["serve", "--admin-key", "x"]) == 2


def test_a_named_file_stands_in_for_the_one_in_the_working_directory(
    served: list[web.compose.ServeSettings], tmp_path: Path
) -> None:
    Path("perps.toml").write_text("port = 1")
    named = tmp_path / "other.toml"
    named.write_text('port = 2\ndata_dir = "/elsewhere"\nlog-level = "DEBUG"')
    assert main(["serve", "--config", str(named)]) == 0
    assert (served[0].port, served[0].data_dir, served[0].log_level) == (2, Path("/elsewhere"), "debug")


def test_a_line_for_another_command_is_no_mistake(served: list[web.compose.ServeSettings]) -> None:
    Path("perps.toml").write_text('url = "http://there:1"\nkey = "k"\nport = 2')
    assert main(["serve"]) == 0
    assert served[0].port == 2


@pytest.mark.parametrize(
    ("arguments", "environment", "lines", "said"),
    [
        (["serve", "--port", "x"], {}, "", "--port: 'x' is not a whole number from 0 to 65535"),
        (["serve", "--port", "65536"], {}, "", "--port: '65536' is not a whole number from 0 to 65535"),
        (["serve", "--port", "80.5"], {}, "", "--port: '80.5' is not a whole number from 0 to 65535"),
        (["serve", "--snapshot-rows", "0"], {}, "", "--snapshot-rows: '0' is not a whole number, 1 or more"),
        (["serve", "--snapshot-seconds", "soon"], {}, "", "--snapshot-seconds: 'soon' is not a number, 1 or more"),
        (["serve", "--snapshot-seconds", "nan"], {}, "", "--snapshot-seconds: 'nan' is not a number, 1 or more"),
        (["serve"], {"PERPS_PORT": "x"}, "", "PERPS_PORT: 'x' is not"),
        (["serve"], {}, 'port = "x"', "port in perps.toml: 'x' is not"),
        (["serve"], {}, "port = true", "port in perps.toml: 'true' is not"),
        (["serve"], {}, "port = [1]", "port in perps.toml: one value, not a list"),
        (["serve"], {}, "[port]\na = 1", "port in perps.toml: a value, not a table"),
        (["serve"], {}, 'prot = "x"', "perps.toml: prot is not a setting; did you mean port?"),
        (["serve"], {}, 'admin_key = "x"', "perps.toml: admin-key is not a setting"),
        (["serve"], {}, 'zzzzzz = "x"', "perps.toml: zzzzzz is not a setting"),
        (["serve"], {}, "[serve]\nport = 1", "perps.toml: [serve]: settings stand at the top, without a table"),
        (["user", "create", "a"], {}, 'deposit = "5"', "perps.toml: deposit is not a setting"),
        (["serve"], {}, "port = ", "perps.toml: Invalid value"),
        (["serve"], {"PERPS_DEMO": "maybe"}, "", "PERPS_DEMO: 'maybe' is not"),
        (["serve"], {"DATABASE_URL": "mysql://u:secret@h/d"}, "", "DATABASE_URL: 'mysql://u:…@h/d' is not"),
        (["serve"], {"PERPS_ADMIN_KEY": "a b"}, "", "PERPS_ADMIN_KEY: printable ASCII"),
        (["serve", "--host", ""], {}, "", "an address or a name"),
        (["serve", "--config", "nowhere.toml"], {}, "", "nowhere.toml"),
        (["serve", "--log-level", "loud"], {}, "", "--log-level: 'loud' is not"),
        (["serve", "surplus"], {}, "", "surplus"),
        (["market", "list", "--url", "ftp://x"], {}, "", "--url: 'ftp://x' is not"),
        (["market", "mode", "btc", "halted"], {}, "", "TICKER: 'btc' is not a ticker"),
        (["market", "mode", "BTC", "off"], {}, "", "'off' is not"),
        (["market", "create", "BTC", "--name", "B", "--organization-id", "b"], {}, "", "--price"),
        (["user", "deposit", "ann", "1e3"], {}, "", "AMOUNT: '1e3': write it out, without an exponent"),
        (["user", "deposit", "ann", "1e400"], {}, "", "AMOUNT: '1e400' is too large: below 10^18"),
        (["user", "deposit", "ann", "1" + "0" * 18], {}, "", "is too large: below 10^18"),
        (["user", "deposit", "ann", "0." + "0" * 12 + "1"], {}, "", "has more than 12 decimals"),
        (["user", "deposit", "ann", "NaN"], {}, "", "AMOUNT: 'NaN' is not a decimal number above 0, such as 12.50"),
        (["user", "deposit", "ann", "0"], {}, "", "AMOUNT: '0' is not a decimal number above 0"),
        (["user", "deposit", "--", "ann", "-1"], {}, "", "AMOUNT: '-1' is not a decimal number above 0"),
        (
            ["market", "create", "A", "--taker-fee", "-1"],
            {},
            "",
            "--taker-fee: '-1' is not a decimal number, 0 or more",
        ),
        (["user", "balance", "a/b"], {}, "", "USER_ID: 'a/b' is not a user id"),
        (["user", "balance", "ann"], {}, "", "data/admin.key cannot be read"),
        (["feed", "replay", "nowhere.csv", "--ticker", "A"], {}, "", "nowhere.csv"),
        (
            ["feed", "simulate", "--ticker", "A", "--interval-ms", "0", "--key", "k"],
            {},
            "",
            "--interval-ms: '0' is not",
        ),
        (["bench", "--json", "--markdown"], {}, "", "not both"),
        (["sevre"], {}, "", "There is no command 'sevre'. Did you mean 'serve'?"),
        (["market", "lst"], {}, "", "There is no command 'lst'. Did you mean 'list'?"),
        (["nonsense"], {}, "", "There is no command 'nonsense'. There are: serve, market,"),
        (["key", "nonsense"], {}, "", "There is no command 'nonsense'. There are: create, list, revoke."),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_code_2(
    arguments: list[str],
    environment: dict[str, str],
    lines: str,
    said: str,
    served: list[web.compose.ServeSettings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if lines:
        Path("perps.toml").write_text(lines)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("perps: error: ")
    assert said in err
    assert err.count("\n") == 1
    assert served == []


ACCESS = {"url", "key", "data-dir", "database-url"}
"""What is a setting of every command that knows it: how the venue is reached, and where its data lies."""


def test_every_option_of_serve_is_a_variable_and_of_other_commands_those_that_say_which_venue() -> None:
    context = click.Context(commands.perps)
    found = list(leaves(commands.perps, context))
    assert len(found) > len(COMMANDS)
    for command in found:
        assert isinstance(command, SettingsCommand), command.name
        assert command.help, command.name
        for option in command.params:
            if isinstance(option, click.Option) and option.expose_value:
                name = setting_name(option)
                variables = option.envvar if isinstance(option.envvar, list) else []
                if command.name == "serve" or name in ACCESS:
                    assert variables[0] == env_name(option) == "PERPS_" + name.upper().replace("-", "_")
                else:
                    assert variables == [], f"a stray variable would fill --{name} of {command.name}"


def test_a_stray_variable_or_line_fills_no_argument_of_an_act(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PERPS_NAME", "PERPS_PRICE", "PERPS_ORGANIZATION_ID", "PERPS_DEPOSIT", "PERPS_SCOPE"):
        monkeypatch.setenv(name, "1")
    assert main(["market", "create", "BTC", "--key", "k"]) == 2
    assert "--organization-id" in capsys.readouterr().err
    assert main(["key", "create", "--key", "k"]) == 2
    assert "--scope" in capsys.readouterr().err


def test_a_guessable_admin_key_is_taken_with_a_warning(
    served: list[web.compose.ServeSettings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PERPS_ADMIN_KEY", "hello")
    assert main(["serve"]) == 0
    assert served[0].admin_key == "hello"
    said = capsys.readouterr().err
    assert said.startswith("perps: warning: PERPS_ADMIN_KEY")
    assert "hello" not in said
    monkeypatch.setenv("PERPS_ADMIN_KEY", "0123456789abcdef0123")
    assert main(["serve"]) == 0
    assert capsys.readouterr().err == ""


def test_a_group_without_a_command_shows_its_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["market"]) == 2
    assert "create" in capsys.readouterr().out


def test_the_help_names_every_command_and_loads_nothing_heavy() -> None:
    script = (
        "import sys; from tools.cli import main; code = main(['--help']);"
        "heavy = {'aiohttp', 'asyncpg', 'pykka', 'uvloop'} & set(sys.modules); sys.exit(code or sorted(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in COMMANDS)


def test_the_version_is_told() -> None:
    command = [sys.executable, "-m", "tools", "--version"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("perps, version ")
