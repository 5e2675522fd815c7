"""Journal entries made by the real domain: commands in, rows with offsets and hash chain out. No actors, no store."""

from random import Random

from perps.commands import (
    ClosePosition,
    Command,
    CreateUser,
    Deposit,
    ListMarket,
    OpenPosition,
    PriceSource,
    Side,
    UpdatePrice,
    Withdraw,
)
from perps.events import PositionOpened
from perps.journal import Entry
from perps.market.position import position_id
from perps.market.state import Market
from perps.money.ledger import Ledger
from perps.params import MarketParams, MarkSource
from perps.sequencer import Sequencer
from perps.units import Lots, Micros, Millis, Pico, Ppb, Ticks
from perps.venue import VenueState

START_MS = Millis(1_700_000_000_000)
USD = 10**6


def params(ticker: str = "BTC-PERP") -> MarketParams:
    """A market with a tick of 0.01 and a lot of 0.0001, 100× leverage, worth trading at 50,000 (5,000,000 ticks)."""
    return MarketParams(
        ticker=ticker,
        organization_id="org",
        name=ticker,
        tick_size=Pico(10**10),
        lot_size=Pico(10**8),
        mark_source=MarkSource.INDEX,
        skew_scale=Lots(10**11),
        max_skew=Lots(10**8),
        max_open_interest=Lots(10**8),
        max_leverage=100,
        min_order_size=Micros(10 * USD),
        maker_fee=Ppb(10**6),
        taker_fee=Ppb(10**6),
        referral_share=Ppb(5 * 10**8),
        maintenance_rate=Ppb(5 * 10**6),
        liquidation_fee=Ppb(2 * 10**6),
    )


class Scribe:
    """A venue without actors: its rows are the sequencer's, each durable at once."""

    def __init__(self, epoch: int = 1, state: VenueState | None = None) -> None:
        """Goes on from ``state``, or begins with nothing."""
        self.sequencer = Sequencer(state, epoch=epoch)
        self.now = max(START_MS, state.at if state else START_MS)
        self.entries: list[Entry] = []
        """Every row so far."""

    @property
    def epoch(self) -> int:
        """Of the rows to come."""
        return self.sequencer.ledger_side.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self.sequencer.ledger_side.epoch = epoch

    @property
    def last_hash(self) -> bytes:
        """Of the last row."""
        return self.sequencer.ledger_side.last_hash

    @property
    def offset(self) -> int:
        """Of the last row."""
        return self.sequencer.ledger_side.offset

    @property
    def ledger(self) -> Ledger:
        """All accounts."""
        return self.sequencer.ledger

    @property
    def markets(self) -> dict[str, Market]:
        """Every market, by ticker."""
        return self.sequencer.markets

    def since(self, offset: int) -> list[Entry]:
        """The rows after ``offset``."""
        return self.entries[offset:]

    def list_market(self, ticker: str = "BTC-PERP", price: int = 5_000_000) -> Entry:
        """List a market at ``price`` ticks."""
        return self.command(ListMarket(params=params(ticker), price=Ticks(price)), "admin")[0]

    def add_user(self, user: str, deposit: int = 1_000_000 * USD, referrer: str | None = None) -> Entry:
        """Create a user with money."""
        return self.command(CreateUser(user=user, deposit=Micros(deposit), referrer=referrer), user)[0]

    def deposit(self, user: str, amount: int, client_order_id: str | None = None) -> Entry:
        """Deposit micros."""
        return self.command(Deposit(user=user, amount=Micros(amount)), user, client_order_id)[0]

    def withdraw(self, user: str, amount: int) -> Entry:
        """Withdraw micros."""
        return self.command(Withdraw(user=user, amount=Micros(amount)), user)[0]

    def open(self, user: str, side: Side = Side.LONG, size: int = 1_000 * USD, leverage: int = 10, **more: str) -> str:
        """Open a position of ``size`` micros; its id."""
        ticker = more.get("ticker", "BTC-PERP")
        command = OpenPosition(ticker=ticker, user=user, side=side, size=Micros(size), leverage=leverage)
        event = self.command(command, user)[0].events[0]
        assert isinstance(event, PositionOpened)
        return position_id(ticker, event.position.number)

    def close(self, user: str, position: str, share: int = 10**9) -> list[Entry]:
        """Close ``share`` ppb of a position."""
        ticker = position.rpartition("-")[0]
        command = ClosePosition(ticker=ticker, user=user, position_id=position, share=Ppb(share))
        return self.command(command, user)

    def price(self, price: int, ticker: str = "BTC-PERP", reason: str | None = None) -> list[Entry]:
        """Set a market's index price, ticks, and liquidate whoever that endangers."""
        command = UpdatePrice(ticker=ticker, price=Ticks(price), source=PriceSource.ORACLE, reason=reason)
        return self.command(command, "feed")

    def command(self, command: Command, sender: str, client_order_id: str | None = None) -> list[Entry]:
        """Do a command that must succeed; the rows it made."""
        order_id = client_order_id or f"cl-{self.offset + 1}"
        sent = self.sequencer.send(command, self.now, sender=sender, order_id=order_id)
        assert sent.refused is None, sent.refused
        self.entries.extend(sent.entries)
        return list(sent.entries)

    def live(self, rows: int, seed: int = 1, users: int = 5) -> list[Entry]:
        """A market day: at least ``rows`` rows of opens, closes, prices, crashes, deposits and withdrawals."""
        random, before = Random(seed), self.offset
        names = [f"user{number}" for number in range(users)]
        if "BTC-PERP" not in self.markets:
            self.list_market("BTC-PERP")
            self.list_market("ETH-PERP", price=300_000)
            for number, name in enumerate(names):
                self.add_user(name, deposit=10**12 * USD // 10**3, referrer=names[number - 1] if number % 2 else None)
        mine: list[tuple[str, str]] = []
        while self.offset < before + rows:
            self.now = Millis(self.now + random.randrange(20_000))
            user, ticker = random.choice(names), random.choice(["BTC-PERP", "BTC-PERP", "ETH-PERP"])
            market = self.markets[ticker]
            what = random.random()
            if what < 0.5:
                side, size = random.choice(list(Side)), random.randrange(20, 5_000) * USD
                mine.append((user, self.open(user, side, size, random.randrange(1, 50), ticker=ticker)))
            elif what < 0.7 and mine:
                user, position = mine.pop(random.randrange(len(mine)))
                if int(position.rpartition("-")[2]) in self.markets[position.rpartition("-")[0]].positions:
                    share = random.choice([10**9, 10**9, random.randrange(1, 10**9)])
                    self.close(user, position, share)
                    mine.append((user, position))
            elif what < 0.95:
                self.price(max(1, market.index_price * random.randrange(985, 1016) // 1000), ticker)
            elif what < 0.97:
                self.deposit(user, random.randrange(1, 100 * USD))
            else:
                self.withdraw(user, random.randrange(1, 100))
        return self.since(before)
