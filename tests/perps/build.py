"""Building blocks for tests of the domain: a market's parameters, and books without actors.

``index_market()`` and ``quote_market()`` give parameters (override any by keyword). ``Books`` runs commands through
``perps.sequencer`` as the actors do — hold, decide, post, row — and keeps the rows for replay.
"""

from typing import Any

from msgspec.structs import asdict, replace

from perps.commands import (
    ClosePosition,
    Command,
    CreateUser,
    ListMarket,
    OpenPosition,
    PriceSource,
    SetMode,
    SettleMarket,
    Side,
    UpdatePrice,
)
from perps.events import (
    Event,
    Events,
    MarketListed,
    PositionOpened,
    PositionReduced,
)
from perps.journal import Row
from perps.market.listing import TICKS_IN_MAINTENANCE
from perps.market.position import Position, position_id
from perps.market.state import Market
from perps.money.funds import Funds
from perps.money.ledger import Ledger
from perps.params import MarketParams, MarkSource, Mode
from perps.refusals import Rejected
from perps.rules.listing import decide_list
from perps.rules.rule import Given
from perps.sequencer import Sequencer
from perps.units import MICRO, PICO, PPB, Lots, Micros, Millis, Nano, Pico, Ppb, Ticks, div_ceil
from perps.venue import VenueState

START_MS = 1_700_000_000_000
BTC, STORY = "BTC-PERP", "STORY-PERP"
BTC_PRICE, STORY_PRICE = 5_000_000, 10_000
"""First prices in ticks: 50,000.00 and 100.00."""
RICH = 10**6 * MICRO


def index_market(**changes: Any) -> MarketParams:
    """A market marked at its index: u = 1 micro, a lot of 0.0001 is worth 5.00 at the first price."""
    params = MarketParams(
        ticker=BTC,
        organization_id="btc",
        name="Bitcoin",
        tick_size=Pico(PICO // 100),
        lot_size=Pico(PICO // 10_000),
        mark_source=MarkSource.INDEX,
        skew_scale=Lots(10_000_000),
        max_skew=Lots(10_000),
        max_open_interest=Lots(20_000),
        max_leverage=100,
        min_order_size=Micros(10 * MICRO),
        maker_fee=Ppb(PPB // 1000),
        taker_fee=Ppb(PPB // 1000),
        referral_share=Ppb(PPB // 2),
        maintenance_rate=Ppb(PPB // 200),
        liquidation_fee=Ppb(PPB // 500),
    )
    return replace(params, **changes)


def quote_market(**changes: Any) -> MarketParams:
    """A market whose price is made by trading: u = 100 micros, a lot of 0.01 is worth 1.00 at the first price."""
    params = MarketParams(
        ticker=STORY,
        organization_id="story",
        name="A story",
        tick_size=Pico(PICO // 100),
        lot_size=Pico(PICO // 100),
        mark_source=MarkSource.QUOTE,
        skew_scale=Lots(100_000),
        max_skew=Lots(4_000),
        max_open_interest=Lots(4_000),
        max_leverage=5,
        min_order_size=Micros(1 * MICRO),
        maker_fee=Ppb(PPB // 1000),
        taker_fee=Ppb(PPB // 1000),
        referral_share=Ppb(PPB // 2),
        maintenance_rate=Ppb(PPB // 10),
        liquidation_fee=Ppb(PPB // 100),
        exact_mark=True,
    )
    return replace(params, **changes)


def new_market(params: MarketParams, price: int) -> Market:
    """A market just listed, outside any venue. From a price that is coarse beside a tick, it has fallen there."""
    least = div_ceil(TICKS_IN_MAINTENANCE * PPB, params.maintenance_rate)
    listed = decide_list(None, ListMarket(params=params, price=Ticks(max(price, least))), Given(Millis(START_MS)))
    if isinstance(listed, Rejected):
        raise ValueError(listed)
    market = Market(listed[0])
    market.index_price = Ticks(price)
    return market


def new_position(**fields: Any) -> Position:
    """A position of which a test names only what matters to it."""
    plain: dict[str, Any] = {"number": 1, "user": "ann", "lots": 1, "cash": 0, "margin": 0, "leverage": 1}
    return Position(**{**plain, "entry_cost": 0, "funding_paid": 0, "opened_at": START_MS, **fields})


def new_open(
    user: str, side: Side, size: int, *, ticker: str = BTC, leverage: int = 10, limit: int | None = None, **more: Any
) -> OpenPosition:
    """A command to open; ``limit`` is the acceptable price, in nano."""
    return OpenPosition(
        ticker=ticker,
        user=user,
        side=side,
        size=Micros(size),
        leverage=leverage,
        acceptable_price=None if limit is None else Nano(limit),
        **more,
    )


class Books:
    """The venue's own sequencer, one command at a time, each durable at once; keeps the rows for replay."""

    def __init__(self, *listings: tuple[MarketParams, int]) -> None:
        self.sequencer = Sequencer()
        self.rows: list[Row] = []
        self.at = Millis(START_MS)
        for params, price in listings:
            done(self.send(ListMarket(params=params, price=Ticks(price))))

    @property
    def ledger(self) -> Ledger:
        """All accounts."""
        return self.sequencer.ledger

    @property
    def funds(self) -> Funds:
        """What may be spent."""
        return self.sequencer.ledger_side.funds

    @property
    def markets(self) -> dict[str, Market]:
        """Every market, by ticker."""
        return self.sequencer.markets

    def send(self, command: Command) -> Events | Rejected:
        """Do one command; return the events of all its rows, or the refusal."""
        sent = self.sequencer.send(command, self.at, sender="test")
        self.rows.extend(entry.row for entry in sent.entries)
        return sent.refused or tuple(event for entry in sent.entries for event in entry.events)

    def add_user(self, user: str, deposit: int = RICH, referrer: str | None = None) -> None:
        """Create a user who must not exist yet."""
        done(self.send(CreateUser(user=user, deposit=Micros(deposit), referrer=referrer)))

    def open(self, user: str, side: Side, size: int, **more: Any) -> Events | Rejected:
        """Open by ``new_open``'s arguments."""
        return self.send(new_open(user, side, size, **more))

    def close(self, opened: PositionOpened, share: int = PPB, *, ticker: str = BTC, **more: Any) -> Events | Rejected:
        """Close a share of a position, as its owner."""
        number, user = opened.position.number, opened.position.user
        command = ClosePosition(
            ticker=ticker, user=user, position_id=position_id(ticker, number), share=Ppb(share), **more
        )
        return self.send(command)

    def price(self, price: int, *, ticker: str = BTC) -> Events | Rejected:
        """Set the index price, in ticks."""
        return self.send(UpdatePrice(ticker=ticker, price=Ticks(price), source=PriceSource.ORACLE))

    def mode(self, mode: Mode, *, ticker: str = BTC) -> Events | Rejected:
        """Set a market's mode; settle it, if that is the mode."""
        if mode is Mode.SETTLED:
            done(self.mode(Mode.HALTED, ticker=ticker))
            return self.send(SettleMarket(ticker=ticker))
        return self.send(SetMode(ticker=ticker, mode=mode))

    def replayed(self) -> VenueState:
        """The state rebuilt from the rows."""
        state = VenueState()
        for row in self.rows:
            state.apply(row)
        return state

    def wallets(self, *users: str) -> int:
        """Σ of these users' wallets, micros."""
        return sum(self.ledger.wallet(user) for user in users)


def done(outcome: Events | Rejected) -> Events:
    """The events of a command that must have been accepted."""
    if isinstance(outcome, Rejected):
        raise AssertionError(outcome)
    return outcome


def refused(outcome: object) -> Rejected:
    """The refusal of a command that must not have been accepted."""
    if not isinstance(outcome, Rejected):
        raise AssertionError(outcome)
    return outcome


def opened(outcome: Events | Rejected) -> PositionOpened:
    """The opening that a command must have led to."""
    return next(event for event in done(outcome) if isinstance(event, PositionOpened))


def reductions(outcome: Events | Rejected) -> list[PositionReduced]:
    """All closes and liquidations in an outcome."""
    return [event for event in done(outcome) if isinstance(event, PositionReduced)]


def listing(params: MarketParams, price: int) -> MarketListed:
    """The event that lists a market."""
    return MarketListed(params, Ticks(price), Millis(START_MS))


def full_state(ledger: Ledger, markets: dict[str, Market]) -> dict[str, object]:
    """Everything that recovery must bring back, as plain values that compare."""
    state: dict[str, object] = {
        "balances": {account: amount for account, amount in ledger.balances.items() if amount},
        "referrers": dict(ledger.referrers),
        "ledger_seq": ledger.seq,
    }
    for ticker, market in markets.items():
        fields = {name: getattr(market, name) for name in Market.__slots__ if name not in ("order", "exits", "orders")}
        fields["params"] = asdict(market.params)
        fields["order"] = market.order.entries()
        resting, levels = market.orders, market.exits.entries()
        trailing = {number << 2 for number in resting.trailing.by_number}  # whether they are shown is no part of it
        fields["exits"] = [[entry for entry in level if entry & (1 << 50) - 1 not in trailing] for level in levels]
        fields["cancel_timers"] = market.cancel_timers.by_user
        fields["orders"] = (
            {order.number: order for order in resting.all()},
            resting.by_user,
            resting.reserved,
            resting.stops.entries(),
        )
        state[ticker] = fields
    return state


def events_of(kind: type[Event], outcome: Events | Rejected) -> list[Any]:
    """All events of one kind in an outcome."""
    return [event for event in done(outcome) if isinstance(event, kind)]
