"""Reads a world's file. A mistake is one line: the file, the line, the table, the key, and what was expected there."""

from __future__ import annotations

import re
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from perps.agents.catalogue import NoStrategy, strategy_of
from perps.market.listing import check_params
from perps.wire.base import converted, outside
from perps.wire.listing import MarketBody
from tools.errors import ToolError
from tools.feeds.addresses import checked_url, json_path
from tools.feeds.files import PriceFile, Reading
from tools.worlds.agents import users_of
from tools.worlds.places import Places, WorldError
from tools.worlds.stories import read_stories
from tools.worlds.world import FEEDS, TABLES, Feed, FileFeed, HttpFeed, Listing, Name, ProcessFeed, Stories, World
from web.answers.errors import RequestError, of_rejected
from web.api.bodies import misfits
from web.api.bodies.commands import list_command
from web.process.running_venues import ADMIN_KEY

PACKAGED: Final = Path(__file__).with_name("files")
"""The worlds that come with perps: ``examples/worlds``."""
TOP: Final = ("name", *TABLES, "feeds")
KEY_FILE: Final = r"\w[\w.-]*\.key"
"""A name in the one folder of keys. A world is somebody else's file: it writes nowhere else."""
CAPS: Final = {"largestOpenInterest": "max_open_interest", "largestSkew": "max_skew"}
"""Details of a refused listing that are the largest value of a field."""
BEHIND: Final = ("max_leverage", "skew_scale", "depth", "preset", "price")
"""Fields that others follow from, where the file does not give these: the first that it gives is the one to change."""


def path_of(name: str) -> Path:
    """The file of a world: a path, or the name of one that comes with perps, such as ``game``.

    Errors: ToolError.
    """
    path, packaged = Path(name), PACKAGED / f"{name}.toml"
    if path.is_file():
        return path
    if re.fullmatch(r"[a-z]+", name) and packaged.is_file():
        return packaged
    there = ", ".join(sorted(file.stem for file in PACKAGED.glob("*.toml")))
    raise WorldError(f"there is no file {name}; the worlds that come with perps are: {there}")


def read_world(path: Path) -> World:
    """The world of a file. Errors: WorldError, which names the line."""
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text, parse_float=Decimal)
    except OSError as error:
        raise WorldError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise WorldError(f"{path}: it is not text in UTF-8") from None
    except (tomllib.TOMLDecodeError, ArithmeticError) as error:
        raise WorldError(f"{path}: it is not TOML: {error}") from None
    return _Reader(path, Places(path, text)).world(found)


class _Reader:
    def __init__(self, path: Path, places: Places) -> None:
        self._path, self._places = path, places

    def world(self, found: Mapping[str, Any]) -> World:
        for key in found:
            if key not in TOP:
                raise self._places.error(_unknown(key, TOP), key=key)
        tables = {table: list(self._tables(table, found.get(table, []))) for table in (*TABLES, "feeds")}
        world = World(
            file=self._path,
            places=self._places,
            name=self._name(found),
            markets=[Listing(body=body, given=given) for body, given in tables["markets"]],
            users=[user for user, _ in tables["users"]],
            keys=[key for key, _ in tables["keys"]],
            feeds=[feed for feed, _ in tables["feeds"]],
            agents=[agents for agents, _ in tables["agents"]],
        )
        self._check_names(world)
        self._check_markets(world)
        for index, feed in enumerate(world.feeds):
            self._check_feed(world, index, feed)
        return world

    def _name(self, found: Mapping[str, Any]) -> str:
        name = found.get("name", self._path.stem)
        try:
            return str(msgspec.convert(name, Name))
        except msgspec.ValidationError:
            raise self._places.error("must be 1 to 16 small letters, digits and -, such as game", key="name") from None

    def _tables(self, table: str, found: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Each table of a list, as what it is and as what the file gives."""
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise self._places.error(f"write [[{table}]], with its keys below it", key=table)
        for index, item in enumerate(found):
            given = {key.replace("-", "_"): value for key, value in item.items()}
            kind = self._kind(table, index, given)
            known = [*kind.__struct_fields__, *(["kind"] if table == "feeds" else [])]
            for key in given:
                if key not in known:
                    raise self._places.error(_unknown(key, known), table, index, key)
            yield self._table(table, index, kind, given), given

    def _kind(self, table: str, index: int, given: Mapping[str, Any]) -> type[Struct]:
        if table != "feeds":
            return TABLES[table]
        kind = given.get("kind")
        if kind not in FEEDS:
            raise self._places.error(f"must be one of {', '.join(FEEDS)}", table, index, "kind")
        return FEEDS[kind]

    def _table(self, table: str, index: int, kind: type[Struct], given: Mapping[str, Any]) -> Any:
        names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
        try:
            return converted({names.get(key, key): value for key, value in given.items()}, kind)
        except msgspec.ValidationError as error:
            told = misfits.of_value(misfits.fields_of(kind), error)
        raise self._refused(told, table, index, kind)

    def _refused(self, told: RequestError, table: str, index: int, kind: type[Struct]) -> WorldError:
        """What the contract says of a field, by the field's name in the file."""
        named = str(told.details.get("field", ""))
        names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
        message = re.sub(r"\w+", lambda word: names.get(word[0], word[0]), told.message)
        key = names.get(named, named)
        return self._places.error(message.removeprefix(f"{key} ").rstrip("."), table, index, key)

    def _check_names(self, world: World) -> None:
        """Nothing is there twice, and what is referred to is there. Referrers may be users that the venue has."""
        for table, key, names in (
            ("markets", "ticker", world.tickers),
            ("users", "user_id", [user.user_id for user in world.users]),
            ("keys", "file", [key.file for key in world.keys]),
        ):
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise self._places.error(f"{name} is there twice", table, index, key)
        for index, key_table in enumerate(world.keys):
            if re.fullmatch(KEY_FILE, key_table.file) is None or key_table.file.lower() == ADMIN_KEY:
                problem = f"{key_table.file!r} is no name for it: letters, digits, . _ - and then .key, as in ann.key"
                raise self._places.error(problem, "keys", index, "file")
            if key_table.user_id is None and "trade" in key_table.scopes:
                raise self._places.error("a key with the scope trade needs a user_id", "keys", index, "scopes")
        for index, agents in enumerate(world.agents):
            try:
                strategy_of(world.strategy(agents))
            except NoStrategy as error:
                problem = "; ".join(str(error).splitlines())
                raise self._places.error(problem, "agents", index, "strategy") from None
            self._check_tickers(world, "agents", index, agents.markets or world.tickers, "markets")
        agents_users = set(users_of(world))
        for index, user in enumerate(world.users):
            if user.user_id in agents_users:
                raise self._places.error(f"{user.user_id} is the name of an agent", "users", index, "user_id")

    def _check_tickers(self, world: World, table: str, index: int, tickers: Sequence[str], key: str) -> None:
        if not tickers:
            raise self._places.error("there is no market", table, index, key)
        for ticker in tickers:
            if ticker not in world.tickers:
                raise self._places.error(_unknown(ticker, world.tickers, "market of this file"), table, index, key)

    def _check_markets(self, world: World) -> None:
        """Every listing rule, as the venue has them, before anything is sent."""
        for index, listing in enumerate(world.markets):
            try:
                command = list_command(listing.body)
            except RequestError as error:
                raise self._refused(error, "markets", index, MarketBody) from None
            broken = check_params(command.params, command.price)
            if broken is not None:
                refusal = of_rejected(broken, command.params)
                raise rule_broken(self._places, index, listing, refusal.message, refusal.details)

    def _check_feed(self, world: World, index: int, feed: Feed) -> None:
        match feed:
            case ProcessFeed():
                self._check_tickers(world, "feeds", index, feed.markets, "markets")
            case FileFeed():
                self._check_tickers(world, "feeds", index, [feed.market], "market")
                self._check_file(index, feed.file)
                try:
                    next(PriceFile(self._path.parent / feed.file, Reading(), time.time_ns() // 1_000_000).tick_blocks())
                except (ToolError, StopIteration) as error:
                    raise self._places.error(str(error) or "it has no prices", "feeds", index, "file") from None
            case HttpFeed():
                self._check_tickers(world, "feeds", index, [feed.market], "market")
                self._check_addresses(index, feed)
            case Stories():
                self._check_file(index, feed.file)
                for story in read_stories(world.file.parent / feed.file):
                    if story.ticker not in world.tickers:
                        problem = _unknown(story.ticker, world.tickers, f"market of {self._path}")
                        raise WorldError(f"{self._path.parent / feed.file}:{story.line}: ticker: {problem}")
                if feed.every and feed.every[0] > feed.every[1]:
                    raise self._places.error("the shortest pause comes first", "feeds", index, "every")

    def _check_addresses(self, index: int, feed: HttpFeed) -> None:
        for key, texts, reads in (
            ("urls", feed.urls, checked_url),
            ("json_path", [feed.json_path], json_path),
            ("time_path", [feed.time_path] if feed.time_path else [], json_path),
        ):
            for text in texts:
                try:
                    reads(text)
                except ValueError as error:
                    raise self._places.error(str(error), "feeds", index, key) from None

    def _check_file(self, index: int, name: str) -> None:
        if not (self._path.parent / name).is_file():
            problem = f"there is no file {self._path.parent / name}; a path begins at the folder of this file"
            raise self._places.error(problem, "feeds", index, "file")


def rule_broken(
    places: Places, index: int, listing: Listing, message: str, details: Mapping[str, object]
) -> WorldError:
    """A listing that breaks a rule: which field, the largest value that fits, how far trading moves the price."""
    key, given = _field_to_change(message, details, listing.given), listing.given
    said = f"{key} = {given[key]} does not fit. {message}" if key else message
    fitting = {name: str(details[at]) for at, name in CAPS.items() if Decimal(str(details.get(at, 0))) > 0}
    for name, most in fitting.items():
        said += f" The largest {name} that fits, all else as it is, is {most}."
    if "max_open_interest" in fitting:
        moves = Decimal(str(details["tradingRange"])) * 100
        said += f" With that max_open_interest trading can move the price by {moves.normalize():f} %."
    elif not fitting and "tradingRange" in details:
        said += " No cap fits, all else as it is: lower max_leverage or the fees."
    for detail, word in (("largestTickSize", "tick_size"), ("largestLeverage", "max_leverage")):
        if detail in details:
            said += f" The largest {word} that fits is {details[detail]}."
    return places.error(f"{listing.body.ticker}: {said}", "markets", index, key)


def _field_to_change(message: str, details: Mapping[str, object], given: Mapping[str, object]) -> str:
    """The field of the file that a broken rule is about: one that it names, or whose largest value it knows."""
    named = [CAPS[name] for name in CAPS if name in details]
    named += [name for name in MarketBody.__struct_fields__ if re.search(rf"\b{outside(name)}\b", message)]
    return next((name for name in (*named, *BEHIND) if name in given), "")


def _unknown(name: str, known: Sequence[str], what: str = "key") -> str:
    """``there is no key 'max_skw'; did you mean 'max_skew'?``"""
    near = get_close_matches(re.sub("[A-Z]", lambda big: f"_{big[0].lower()}", name), known, 1)
    near = near or get_close_matches(name, known, 1)
    return f"there is no {what} {name!r}; " + (
        f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}"
    )
