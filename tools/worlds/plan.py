"""What a venue lacks of a world, as steps that say what they do. On a venue that has all of it, there are none."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final

from perps.client import Refused, Venue
from perps.wire.base import Number
from perps.wire.listing import ChangesBody
from perps.wire.lists import LIMIT_MAX
from perps.wire.markets import Market
from perps.wire.users import User as Known
from tools.key_files import KeyFiles
from tools.output import counted
from tools.worlds.agents import users_of
from tools.worlds.reading import rule_broken
from tools.worlds.world import World

AT_LISTING: Final = frozenset(("ticker", "price", "preset", "depth", "house_deposit", "house_credit_limit"))
"""Fields that count when a market is listed, and are not compared afterwards."""
WRONG_FOR_EVER: Final = frozenset(("validation_error", "parameters_inconsistent"))
"""Codes that mean a mistake in the file."""
CHANGEABLE: Final = frozenset(ChangesBody.__struct_fields__)


@dataclass(frozen=True)
class Step:
    """One thing to do, in words: ``list NOVA at 120 (game)``. Errors: WorldError, VenueError."""

    text: str
    do: Callable[[], Awaitable[object]]


@dataclass
class Plan:
    """Everything to do, in order, and the keys: by file name those that are there, and later those that are made."""

    steps: list[Step] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)


async def plan(admin: Venue, world: World, keys_in: Path) -> Plan:
    """What is to be done. It changes nothing. ``keys_in``: the folder of the files with keys.

    Errors: WorldError for what is there and cannot become what the file says; VenueError.
    """
    made = Plan()
    there = {market.ticker: market for market in (await admin.list_markets()).markets}
    for index, listing in enumerate(world.markets):
        market = there.get(listing.body.ticker)
        step = _listed(admin, world, index) if market is None else _changed(admin, world, index, market)
        made.steps += [step] if step else []
    known = {user.user_id: user async for user in admin.list_users(limit=LIMIT_MAX)}
    made.steps += _users(admin, world, known)
    files = KeyFiles(admin)
    for key in world.keys:
        file = keys_in / key.file
        kept = await files.kept(file, key.user_id, key.scopes)
        if kept is None:
            owner = f" for {key.user_id}" if key.user_id else ""

            async def make(key: Any = key, file: Path = file) -> None:
                made.keys[key.file] = await files.make(file, key.user_id, key.scopes, key.label or file.stem)

            made.steps.append(Step(f"make a key{owner} ({', '.join(key.scopes)}) in {file}", make))
        else:
            made.keys[key.file] = kept
    return made


def counts(world: World) -> str:
    """What a world is made of, in words."""
    parts = [counted(len(world.markets), "market"), counted(len(world.users) + len(users_of(world)), "user")]
    return ", ".join([*parts, counted(len(world.keys), "key")])


def _listed(admin: Venue, world: World, index: int) -> Step:
    listing = world.markets[index]
    given = listing.given
    preset = f", {given['preset']}" if "preset" in given else ""

    async def do() -> None:
        try:
            await admin.list_market(**given)
        except Refused as error:
            if error.code in WRONG_FOR_EVER:
                raise rule_broken(world.places, index, listing, error.message, error.details) from error
            if error.code != "market_exists":
                raise

    return Step(f"list {given['ticker']} at {given['price']}{preset}", do)


def _changed(admin: Venue, world: World, index: int, market: Market) -> Step | None:
    """The change that makes a market what the file says, if it is not so already."""
    body, given = world.markets[index].body, world.markets[index].given
    differing: dict[str, Any] = {}
    said: list[str] = []
    for name in given.keys() - AT_LISTING:
        wanted, now = getattr(body, name), getattr(market, name)
        if _same(wanted, now):
            continue
        if name not in CHANGEABLE:
            problem = f"{market.ticker} has {now}, which never changes: write {now}, or list another ticker"
            raise world.places.error(problem, "markets", index, name)
        differing[name] = given[name]
        said.append(f"{name} from {'none' if now is None else now} to {given[name]}")
    if not differing:
        return None

    async def do() -> None:
        try:
            await admin.update_market(market.ticker, **differing)
        except Refused as error:
            if error.code not in WRONG_FOR_EVER:
                raise
            listing = world.markets[index]
            raise rule_broken(world.places, index, listing, error.message, error.details) from error

    return Step(f"change {market.ticker}: {', '.join(sorted(said))}", do)


def _same(wanted: object, now: object) -> bool:
    if isinstance(wanted, Number):
        return now is None if not wanted.is_finite() else now is not None and Decimal(str(now)) == wanted
    return (wanted.value if isinstance(wanted, Enum) else wanted) == now


def _users(admin: Venue, world: World, known: dict[str, Known]) -> Iterator[Step]:
    """Users who are not there, referrers before those whom they refer; then what each lacks of its deposit."""
    wanted = {user.user_id: user for user in world.users}
    order: list[str] = []
    for index, user in enumerate(world.users):
        if user.referrer is not None and user.referrer not in wanted and user.referrer not in known:
            problem = f"there is no user {user.referrer}, neither in this file nor at the venue"
            raise world.places.error(problem, "users", index, "referrer")
        if user.referrer is not None and user.user_id in known and known[user.user_id].referrer != user.referrer:
            problem = f"{user.user_id} has {known[user.user_id].referrer or 'none'}, and a referrer never changes"
            raise world.places.error(problem, "users", index, "referrer")
        chain = [user.user_id]
        while (above := wanted[chain[-1]].referrer) in wanted and above not in order:
            if above in chain:
                raise world.places.error("they refer each other in a circle", "users", index, "referrer")
            chain.append(above)
        order += [name for name in reversed(chain) if name not in order]
    deposits = {name: wanted[name].deposit for name in order} | dict(users_of(world).items())
    for name, deposit in deposits.items():
        referrer = wanted[name].referrer if name in wanted else None
        if name not in known:
            by = f", referred by {referrer}" if referrer else ""
            yield Step(f"create the user {name}{by}", _create(admin, name, referrer))
        paid = Decimal(known[name].total_deposited) if name in known else Decimal(0)
        lacking = Decimal(str(deposit or 0)) - paid
        if lacking > 0:
            yield Step(f"pay {lacking:f} to {name}", _pay(admin, world, name, lacking, paid))


def _create(admin: Venue, name: str, referrer: str | None) -> Callable[[], Awaitable[object]]:
    async def do() -> None:
        try:
            await admin.create_user(name, referrer=referrer)
        except Refused as error:
            if error.code != "user_exists":
                raise

    return do


def _pay(admin: Venue, world: World, name: str, amount: Decimal, paid: Decimal) -> Callable[[], Awaitable[object]]:
    """Pay once, however often this is done: the id follows from what the user has had so far.

    Who is not there yet has had 0, and who has just been made has had 0.00: the same.
    """
    told = hashlib.sha256(f"{name} {paid.normalize():f}".encode()).hexdigest()[:32]
    order_id = f"world-{world.name}-{told}"

    async def do() -> None:
        await admin.deposit(name, amount, client_order_id=order_id)

    return do
