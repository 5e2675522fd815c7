"""Flag, then environment, then TOML, then default; and every mistake is one clear line and exit code 2."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich_click as click

import tools.serve
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


def name_a_file(lines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("perps.toml").write_text(lines)
    monkeypatch.setenv("PERPS_CONFIG", "perps.toml")


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
        name_a_file(line, monkeypatch)
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
    monkeypatch.setenv("PERPS_ADMIN_KEY", "a-secret-of-tests")
    assert main(["serve"]) == 0
    assert served[0].admin_key == "a-secret-of-tests"
    assert main(["serve", "--admin-key", "x"]) == 2


def test_a_file_is_named_by_its_path(served: list[web.compose.ServeSettings], tmp_path: Path) -> None:
    named = tmp_path / "other.toml"
    named.write_text('port = 2\ndata_dir = "/elsewhere"\nlog-level = "DEBUG"')
    assert main(["serve", "--config", str(named)]) == 0
    assert (served[0].port, served[0].data_dir, served[0].log_level) == (2, Path("/elsewhere"), "debug")


@pytest.mark.parametrize(
    ("words", "data_dir"),
    [
        ([], "data"),
        (["--no-demo"], "data"),
        (["--demo"], "demo-data"),
        (["--demo", "--no-demo"], "data"),
        (["--demo", "--world", "game"], "game-data"),
        (["--demo", "--data-dir", "data"], "data"),
    ],
)
def test_a_demo_has_a_data_directory_of_its_own(
    words: list[str], data_dir: str, served: list[web.compose.ServeSettings]
) -> None:
    assert main(["serve", *words]) == 0
    assert served[0].data_dir == Path(data_dir)


@pytest.mark.parametrize(("words", "are_given"), [([], True), (["--no-demo-sign-in"], False)])
def test_the_demo_gives_its_keys_to_browsers_unless_it_is_told_not_to(
    words: list[str], *, are_given: bool, served: list[web.compose.ServeSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    filled: list[object] = []
    monkeypatch.setattr(tools.serve, "_companion", lambda _, __, keys: filled.append(keys))
    assert main(["serve", "--demo", *words]) == 0
    assert (served[0].demo_keys is filled[0]) is are_given


def test_a_line_for_another_command_is_no_mistake(
    served: list[web.compose.ServeSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    name_a_file('url = "http://there:1"\nkey = "k"\nport = 2', monkeypatch)
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
        (["serve"], {}, "port = [1]", "port in perps.toml: give one value, not a list"),
        (["serve"], {}, "[port]\na = 1", "port in perps.toml: give a value, not a table"),
        (["serve"], {}, 'prot = "x"', "perps.toml: prot is not a setting; did you mean port?"),
        (["serve"], {}, 'admin_key = "x"', "perps.toml: admin-key is not a setting"),
        (["serve"], {}, 'zzzzzz = "x"', "perps.toml: zzzzzz is not a setting"),
        (["serve"], {}, "[serve]\nport = 1", "perps.toml: remove the line [serve]: settings are not in a table"),
        (["user", "create", "a"], {}, 'deposit = "5"', "perps.toml: deposit is not a setting"),
        (["serve"], {}, "port = ", "perps.toml: Invalid value"),
        (["serve"], {"PERPS_DEMO": "maybe"}, "", "PERPS_DEMO: 'maybe' is not"),
        (["serve"], {"DATABASE_URL": "mysql://u:secret@h/d"}, "", "DATABASE_URL: 'mysql://u:…@h/d' is not"),
        (["serve"], {"PERPS_ADMIN_KEY": "a b"}, "", "PERPS_ADMIN_KEY: use printable ASCII"),
        (
            ["serve"],
            {"PERPS_ADMIN_KEY": "7"},
            "",
            "PERPS_ADMIN_KEY is shorter than 16 characters and could be guessed: use 16",
        ),
        (["serve"], {"PERPS_ADMIN_KEY": "fifteen-letters"}, "", "PERPS_ADMIN_KEY is shorter than 16"),
        (["serve", "--partition-rows", "99"], {}, "", "--partition-rows: '99' is not a whole number from 100 to"),
        (["serve", "--host", ""], {}, "", "give an IP address or a host name"),
        (["serve", "--config", "nowhere.toml"], {}, "", "nowhere.toml"),
        (["serve", "--log-level", "loud"], {}, "", "--log-level: 'loud' is not"),
        (["serve", "surplus"], {}, "", "surplus"),
        (["market", "list", "--url", "ftp://x"], {}, "", "--url: 'ftp://x' is not"),
        (["market", "mode", "btc", "halted"], {}, "", "TICKER: 'btc' is not a ticker"),
        (["market", "mode", "BTC", "off"], {}, "", "'off' is not"),
        (["market", "create", "BTC", "--name", "B", "--organization-id", "b"], {}, "", "--price"),
        (["user", "deposit", "ann", "1e3"], {}, "", "AMOUNT: '1e3' has an exponent: write the number out"),
        (["user", "deposit", "ann", "1e400"], {}, "", "AMOUNT: '1e400' is too large: it must be below 10^18"),
        (["user", "deposit", "ann", "1" + "0" * 18], {}, "", "is too large: it must be below 10^18"),
        (["user", "deposit", "ann", "0." + "0" * 12 + "1"], {}, "", "has more than 12 decimals: round it"),
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
        (
            ["user", "balance", "ann"],
            {},
            "",
            "no key: data/admin.key cannot be read (No such file or directory); give --key",
        ),
        (["feed", "replay", "nowhere.csv", "--ticker", "A"], {}, "", "nowhere.csv"),
        (
            ["feed", "simulate", "--ticker", "A", "--interval-ms", "0", "--key", "k"],
            {},
            "",
            "--interval-ms: '0' is not",
        ),
        (["bench", "--json", "--markdown"], {}, "", "give --json or --markdown, not both"),
        (["sevre"], {}, "", "there is no command 'sevre'; did you mean 'serve'?"),
        (["market", "lst"], {}, "", "there is no command 'lst'; did you mean 'list'?"),
        (["nonsense"], {}, "", "there is no command 'nonsense'; the commands are: serve, market,"),
        (["key", "nonsense"], {}, "", "there is no command 'nonsense'; the commands are: create, list, revoke"),
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
        name_a_file(lines, monkeypatch)
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
    assert "--price" in capsys.readouterr().err
    assert main(["key", "create", "--key", "k"]) == 2
    assert "--scope" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("serve",), ("market", "list"), ("verify",)])
def test_a_file_that_nobody_named_is_not_read_and_one_line_says_so(
    command: tuple[str, ...],
    served: list[web.compose.ServeSettings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("perps.toml").write_text("port = 1")
    main([*command])
    line, *_ = capsys.readouterr().err.splitlines()
    assert line == "perps: warning: perps.toml in this directory is not read; to use it, add --config perps.toml"
    assert [told.port for told in served] == ([8000] if command == ("serve",) else [])

    monkeypatch.setenv("PERPS_CONFIG", "perps.toml")
    main([*command])
    assert "is not read" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("PERPS_PROT", "PERPS_PROT is not a setting and is ignored; did you mean PERPS_PORT?"),
        ("PERPS_DATABASE_ULR", "PERPS_DATABASE_ULR is not a setting and is ignored; did you mean PERPS_DATABASE_URL?"),
        ("PERPS_ADMINKEY", "PERPS_ADMINKEY is not a setting and is ignored; did you mean PERPS_ADMIN_KEY?"),
        ("PERPS_ZZZZZZ", "PERPS_ZZZZZZ is not a setting and is ignored"),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("stats", "--key", "k", "--url", "http://127.0.0.1:1")])
def test_a_variable_that_is_no_setting_is_named_with_the_one_that_it_may_mean(
    command: tuple[str, ...],
    name: str,
    warning: str,
    served: list[web.compose.ServeSettings],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, "8")
    main([*command])
    assert capsys.readouterr().err.splitlines()[0] == f"perps: warning: {warning}"
    assert [told.port for told in served] == ([8000] if command == ("serve",) else [])


def test_every_variable_that_is_a_setting_is_known(
    served: list[web.compose.ServeSettings], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own.toml").write_text("")
    values = {
        "CONFIG": "own.toml",
        "ADMIN_KEY": "0123456789abcdef",
        "KEY": "k",
        "URL": "http://127.0.0.1:1",
        "DATABASE_URL": "postgresql:///x",
        "DATA_DIR": "x",
        "HOST": "127.0.0.1",
        "PORT": "1",
        "DEMO": "no",
        "LOG_LEVEL": "info",
        "SNAPSHOT_ROWS": "1",
        "SNAPSHOT_SECONDS": "1",
        "PARTITION_ROWS": "1000",
        "ONE_PROCESSOR": "yes",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"PERPS_{name}", value)
    assert main(["serve"]) == 0
    assert capsys.readouterr().err == ""
    assert (served[0].admin_key, served[0].partition_rows) == ("0123456789abcdef", 1000)


def test_the_help_is_a_page_of_groups_with_one_line_for_each_command() -> None:
    command = [sys.executable, "-m", "tools", "--help"]
    environment = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    boxed = [line.strip("│ ").split() for line in done.stdout.splitlines() if line.startswith("│")]
    assert sorted(words[0] for words in boxed if not words[0].startswith("-")) == sorted(COMMANDS), "a line is wrapped"
    for group in ("Run a venue", "Administer a running venue", "Check what is stored", "Keep it"):
        assert f"─ {group} ─" in done.stdout


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
