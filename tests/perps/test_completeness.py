"""Nothing can be half-wired: every command and event has its rule, and what it shows reaches every reader."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from msgspec import Struct

from perps import commands, events
from perps.effects import Effect
from perps.journal import Entry
from perps.projection import query_rows
from perps.rules.table import APPLY, DECIDE, PROJECT, _complete, _stated
from perps.venue import VenueState
from tests.golden.files import load_rows, versions
from tools.audit.event_text import row_in_words
from web.answers.stream_events import public_events
from web.readside.model import ReadModel


class Forgotten(Struct, frozen=True):
    """Declared, and nothing else."""


def test_every_command_and_every_event_has_its_rule() -> None:
    assert set(DECIDE) == set(get_args(commands.Command))
    assert set(APPLY) == set(PROJECT) == set(get_args(events.Event))


@pytest.mark.parametrize(("declared", "ruled"), [((Forgotten,), {}), ((), {Forgotten: None})])
def test_one_that_is_forgotten_is_named_at_the_first_import(
    declared: tuple[type[Struct], ...], ruled: dict[type[Struct], None]
) -> None:
    with pytest.raises(TypeError, match="Forgotten"):
        _complete(declared, ruled)


@pytest.mark.parametrize(
    ("facts", "lacks"),
    [
        ({"route": commands.Route.MARKET}, "ticker"),
        ({"route": commands.Route.FUNDED, "ticker": ""}, "payer, bound"),
        ({"ids": commands.Ids.USER}, "user"),
        ({"later": ("price",)}, "price"),
    ],
)
def test_one_that_lacks_what_its_facts_speak_of_is_named_at_the_first_import(
    facts: dict[str, object], lacks: str
) -> None:
    usual = {name: getattr(commands.CreateUser, name) for name in ("kind", "route", "scope", "gets_id", "later")}
    with pytest.raises(TypeError, match=f"Unsaid lacks {lacks}$"):
        _stated(type("Unsaid", (), usual | {"ids": commands.Ids.SENDER} | facts))


def test_every_command_states_its_facts() -> None:
    kinds = [command.kind for command in commands.COMMANDS]
    assert len(set(kinds)) == len(kinds)
    for command in commands.COMMANDS:
        names = {field.name for field in msgspec.structs.fields(command)}
        assert set(command.later) <= names
        assert isinstance(command.route, commands.Route)


def test_a_field_added_later_needs_a_default() -> None:
    for command in commands.COMMANDS:
        for field in msgspec.structs.fields(command):
            assert field.name not in command.later or field.default is not msgspec.NODEFAULT


def entries() -> list[Entry]:
    """A session with every kind of event in it."""
    state = VenueState()
    return [state.apply(row) for row in load_rows(versions()[-1])]


def test_every_kind_of_effect_shows_in_a_session() -> None:
    shown = {type(effect) for entry in entries() for effects in entry.effects for effect in effects}

    assert shown == set(get_args(Effect))


def test_every_event_goes_through_every_reader() -> None:
    model = ReadModel()
    for entry in entries():
        assert model.apply(entry)
        query_rows([entry])
        market = model.markets.get(entry.row.stream)
        params = None if market is None else market.market.params
        if params is not None:
            list(public_events(entry, params))
        assert all(row_in_words(entry.row, params))
