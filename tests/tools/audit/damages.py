"""What can be done to a stored venue, and how ``perps verify`` must put it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from perps.events import PriceUpdated, decode_events, encode_events
from perps.snapshot.format import Snapshot
from tests.tools.audit.conftest import ROWS, Stored
from web.readside.image import ViewsImage, decode_views
from web.readside.sums import unpacked

Damage = Callable[[Stored], int | None]
"""Does it; the offset that must be named."""


def flip_a_bit_of_a_payload(stored: Stored) -> int:
    stored.run('update journal set payload = set_bit(payload, 40, 1 - get_bit(payload, 40)) where "offset" = 70')
    return 70


def delete_a_row_in_the_middle(stored: Stored) -> int:
    stored.run('delete from journal where "offset" = 70')
    return 70


def delete_the_last_row(stored: Stored) -> int:
    stored.run('delete from journal where "offset" = $1', ROWS)
    return ROWS


def alter_a_row_and_its_own_hash(stored: Stored) -> int:
    stored.change(70, kind="sweep")
    stored.chain(70, 70)
    return 71


def swap_two_rows(stored: Stored) -> int:
    for old, new in ((70, 999), (71, 70), (999, 71)):
        stored.run('update journal set "offset" = $2 where "offset" = $1', old, new)
    return 70


def let_the_epoch_fall(stored: Stored) -> int:
    stored.run("update owner set epoch = 3")
    stored.run('update journal set epoch = 3 where "offset" between 60 and 69')
    stored.run('update journal set epoch = 2 where "offset" >= 70')
    stored.chain(60)
    return 70


def leave_a_gap_in_a_sequence(stored: Stored) -> int:
    stored.change(70, market_seq=10_000)
    stored.chain(70)
    return 70


def alter_a_balance(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('update journal set user_balance = user_balance + 1 where "offset" = $1', offset)
    stored.chain(offset)
    return offset


def use_a_client_order_id_twice(stored: Stored) -> int:
    stored.run("alter table journal_1 drop constraint journal_1_client_order_id")
    opens = [row for row in stored.rows() if row.user_id == "user1" and row.kind == "open" and row.offset > 60]
    first, second, *_ = opens
    stored.change(second.offset, client_order_id=first.client_order_id)
    stored.chain(second.offset)
    return second.offset


def alter_a_leg(stored: Stored) -> int:
    offset = stored.offset_of("deposit", after=0)
    stored.run('update legs set amount = amount + 1 where "offset" = $1 and n = 0', offset)
    return offset


def alter_what_a_fill_moved(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('update fills set margin_balance = margin_balance + 1 where "offset" = $1', offset)
    return offset


def forget_what_a_fill_moved(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('update fills set leg = null, leverage = null where "offset" = $1', offset)
    return offset


def add_a_leg(stored: Stored) -> int:
    offset = stored.offset_of("price")
    stored.run("insert into legs values ($1, 0, 1, 'deposit', 'world', 'user:user1', 5, -5, 5, null, 0)", offset)
    return offset


def lose_a_fill(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('delete from fills where "offset" = $1', offset)
    return offset


def double_a_fill(stored: Stored) -> int:
    offset = stored.offset_of("open")
    stored.run('insert into fills select * from fills where "offset" = $1', offset)
    return offset


def alter_a_price(stored: Stored) -> int:
    offset = stored.offset_of("price")
    stored.run('update prices set mark_price = mark_price + 1 where "offset" = $1', offset)
    return offset


def _a_candle(stored: Stored) -> int:
    (found,) = stored.run('select max("offset") as "offset" from candles where n = 0')
    return int(found["offset"])


def alter_a_candle(stored: Stored) -> int:
    offset = _a_candle(stored)
    stored.run('update candles set high = high + 1 where "offset" = $1 and n = 0', offset)
    return offset


def lose_a_candle(stored: Stored) -> int:
    offset = _a_candle(stored)
    stored.run('delete from candles where "offset" = $1 and n = 0', offset)
    return offset


def add_a_candle(stored: Stored) -> int:
    offset = stored.offset_of("deposit", after=0)
    stored.run("insert into candles values ($1, 0, 'BTC-PERP', 60000, 0, 5, 5, 5, 5, 0, 0, 0)", offset)
    return offset


def alter_an_open_position(stored: Stored) -> int:
    (found, *_) = stored.run("select * from positions where status = 'open' limit 1")
    stored.run("update positions set margin = margin + 1 where id = $1", found["id"])
    return int(found["offset"])


def alter_a_closed_position(stored: Stored) -> int:
    (found, *_) = stored.run("select * from positions where status <> 'open' limit 1")
    stored.run("update positions set realized_pnl = realized_pnl + 1 where id = $1", found["id"])
    return int(found["offset"])


def store_a_position_that_nothing_changed(stored: Stored) -> int:
    (found, *_) = stored.run(
        "insert into positions select * from all_positions where id not in (select id from positions) limit 1"
        " returning opened_offset"
    )
    return int(found[0])


def lose_a_position(stored: Stored) -> int:
    (found, *_) = stored.run("delete from positions where id = 'BTC-PERP-3' returning \"offset\"")
    return int(found[0])


def add_a_position(stored: Stored) -> int:
    stored.run(
        "insert into positions select 'BTC-PERP-999999', user_id, ticker, opened_offset, \"offset\", status, opened_at,"
        " closed_at, lots, cash, margin, leverage, entry_cost, funding_paid, entered_lots, entered_cost, exited_lots,"
        " exited_cost, realized_pnl, fees, shard from positions where id = 'BTC-PERP-3'"
    )
    return int(stored.run("select opened_offset from positions where id = 'BTC-PERP-3'")[0][0])


def forge_a_price_with_all_hashes(stored: Stored) -> int:
    """No check of the journal can see this; the table of prices does."""
    row = next(
        row for row in stored.rows() if row.offset > 60 and row.kind == "price" and len(decode_events(row.payload)) == 1
    )
    (event,) = decode_events(row.payload)
    assert isinstance(event, PriceUpdated)
    forged = PriceUpdated(event.price, event.mark, event.quote, event.source, event.at, "because", 1)
    stored.change(row.offset, payload=encode_events((forged,)))
    stored.chain(row.offset)
    return row.offset


def set_the_owner_back(stored: Stored) -> int:
    stored.run("update owner set epoch = 0")
    return ROWS


def forget_the_owner(stored: Stored) -> int:
    stored.run("delete from owner")
    return ROWS


def flip_a_bit_of_a_snapshot(stored: Stored) -> int:
    stored.run('update snapshot_parts set body = set_bit(body, 999, 1 - get_bit(body, 999)) where "offset" = $1', 90)
    return 90


def truncate_a_snapshot(stored: Stored) -> int:
    stored.run('delete from snapshot_parts where "offset" = $1', 90)
    return 90


def exchange_the_snapshots(stored: Stored) -> int:
    (body,) = stored.run('select body from snapshot_parts where "offset" = 40')[0]
    stored.run('update snapshot_parts set body = $1 where "offset" = 90', body)
    return 90


def enrich_a_snapshot(stored: Stored) -> int:
    """A snapshot that is whole, and of another state."""
    (body,) = stored.run('select body from snapshot_parts where "offset" = 90')[0]
    state = (snapshot := Snapshot.decode(body)).state()
    state.ledger.balances["user:user1"] += 5
    state.ledger.balances["world"] -= 5
    richer = Snapshot.of(state, snapshot.views).encode()
    stored.run('update snapshot_parts set body = $1 where "offset" = 90', richer)
    return 90


def change_views(stored: Stored, change: Callable[[ViewsImage], ViewsImage]) -> int:
    """Alter what the newer snapshot says beside its state, under a checksum that fits."""
    (body,) = stored.run('select body from snapshot_parts where "offset" = 90')[0]
    snapshot = Snapshot.decode(body)
    views = msgspec.msgpack.encode(change(decode_views(snapshot)))
    altered = replace(snapshot, views=views).encode()
    stored.run('update snapshot_parts set body = $1 where "offset" = 90', altered)
    return 90


def show_another_sum(stored: Stored) -> int:
    """Two sums wrong by as much: no start can know."""

    def more(views: ViewsImage) -> ViewsImage:
        first, *others = views.users
        return replace(
            views,
            users=[
                first._replace(deposited=unpacked(first.deposited) + 5, withdrawn=unpacked(first.withdrawn) + 5),
                *others,
            ],
        )

    return change_views(stored, more)


def leave_a_user_out_of_the_views(stored: Stored) -> int:
    return change_views(stored, lambda views: replace(views, users=views.users[1:]))


def list_the_users_in_another_order(stored: Stored) -> int:
    return change_views(stored, lambda views: replace(views, users=views.users[::-1]))


def leave_a_market_out_of_the_views(stored: Stored) -> int:
    return change_views(stored, lambda views: replace(views, markets=dict([*views.markets.items()][:1])))


def paint_a_candle(stored: Stored) -> int:
    """A volume of the present minute that no trade made."""

    def paint(views: ViewsImage) -> ViewsImage:
        ticker, market = next(iter(views.markets.items()))
        minute = market.history.minute
        assert minute is not None
        painted = replace(market.history, minute=(*minute[:5], unpacked(minute[5]) + 1, minute[6]))
        return replace(views, markets={**views.markets, ticker: market._replace(history=painted)})

    return change_views(stored, paint)


def say_another_epoch(stored: Stored) -> int:
    (body,) = stored.run('select body from snapshot_parts where "offset" = 90')[0]
    altered = replace(Snapshot.decode(body), epoch=99).encode()
    stored.run('update snapshot_parts set body = $1 where "offset" = 90', altered)
    return 90


DAMAGES: list[tuple[Damage, str]] = [
    (flip_a_bit_of_a_payload, "hash"),
    (delete_a_row_in_the_middle, "missing; the next row there is 71"),
    (delete_the_last_row, "lost its last rows"),
    (alter_a_row_and_its_own_hash, "hash"),
    (swap_two_rows, "hash"),
    (let_the_epoch_fall, "epoch 2 after epoch 3"),
    (leave_a_gap_in_a_sequence, "sequence 10000 where"),
    (alter_a_balance, "the row says"),
    (use_a_client_order_id_twice, "user1 used the client order id"),
    (alter_a_leg, "legs: record"),
    (alter_what_a_fill_moved, "margin_balance is"),
    (forget_what_a_fill_moved, "legs: record"),
    (add_a_leg, "no row implies it"),
    (lose_a_fill, "is missing"),
    (double_a_fill, "is there 2 times"),
    (alter_a_price, "mark_price is"),
    (alter_a_candle, "candles: record"),
    (lose_a_candle, "is missing"),
    (add_a_candle, "no row implies it"),
    (alter_an_open_position, "margin is"),
    (alter_a_closed_position, "realized_pnl is"),
    (store_a_position_that_nothing_changed, "no row changed it since its open"),
    (lose_a_position, "positions: BTC-PERP-3 is missing"),
    (add_a_position, "positions: BTC-PERP-999999 is there, and no row opened it"),
    (forge_a_price_with_all_hashes, "reason is None, its row says because"),
    (set_the_owner_back, "the owner's epoch is only 0"),
    (forget_the_owner, "the database has no owner"),
    (flip_a_bit_of_a_snapshot, "checksum"),
    (truncate_a_snapshot, "not a snapshot"),
    (exchange_the_snapshots, "is of row 40"),
    (enrich_a_snapshot, "another state"),
    (show_another_sum, "user user0: deposited is "),
    (leave_a_user_out_of_the_views, "users: user0 is missing"),
    (list_the_users_in_another_order, "users: not in the order"),
    (leave_a_market_out_of_the_views, "markets: ETH-PERP is missing"),
    (paint_a_candle, "market BTC-PERP: its minute is "),
    (say_another_epoch, "has epoch 99, but the row has epoch 1"),
]
"""Each damage, and words that the problem it makes must have."""

SINGLE: list[Damage] = [
    alter_a_leg,
    alter_what_a_fill_moved,
    store_a_position_that_nothing_changed,
    add_a_leg,
    lose_a_fill,
    double_a_fill,
    alter_a_price,
    alter_a_candle,
    lose_a_candle,
    add_a_candle,
    alter_an_open_position,
    lose_a_position,
    alter_a_closed_position,
    add_a_position,
    set_the_owner_back,
    flip_a_bit_of_a_snapshot,
    delete_the_last_row,
    alter_a_row_and_its_own_hash,
    enrich_a_snapshot,
    show_another_sum,
    leave_a_user_out_of_the_views,
    paint_a_candle,
]
"""Damages that are one problem each, and lead to no other."""
