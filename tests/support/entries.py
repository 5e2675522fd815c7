"""Journal entries made by the real domain: commands in, rows with offsets and hash chain out. No actors, no store."""

from random import Random

from perps.commands import (
    ClosePosition,
    CreateUser,
    Deposit,
    LedgerCommand,
    ListMarket,
    MarketCommand,
    OpenPosition,
    PriceSource,
    Side,
    UpdatePrice,
    Withdraw,
)
from perps.engine import execute
from perps.events import Events, PositionOpened, encode_events, subject_of, transfers_of
from perps.journal import GENESIS, LEDGER_STREAM, SCHEMA_VERSION, Entry, make_row
from perps.market.position import position_id
from perps.market.state import Market
from perps.money.funds import Funds
from perps.money.ledger import Ledger, Leg
from perps.params import MarketParams, MarkSource
from perps.refusals import Rejected
from perps.rules.listing import decide_list
from perps.rules.users import decide_ledger
from perps.units import Lots, Micros, Millis, Pico, Ppb, Ticks

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
    """A venue without actors: decides, applies, posts, and writes down each row as the venue would."""

    def __init__(self, epoch: int = 1) -> None:
        self.epoch = epoch
        self.offset = 0
        self.last_hash = GENESIS
        self.ledger = Ledger()
        self.funds = Funds(self.ledger)
        self.markets: dict[str, Market] = {}
        self.now = START_MS
        self.entries: list[Entry] = []
        """Every row so far."""

    def since(self, offset: int) -> list[Entry]:
        """The rows after ``offset``."""
        return self.entries[offset:]

    def list_market(self, ticker: str = "BTC-PERP", price: int = 5_000_000) -> Entry:
        """List a market at ``price`` ticks."""
        listed = decide_list(ListMarket(params=params(ticker), price=Ticks(price)), self.now)
        assert not isinstance(listed, Rejected), listed
        self.markets[ticker] = Market(listed)
        return self._write("list", ticker, "admin", (listed,))

    def add_user(self, user: str, deposit: int = 1_000_000 * USD, referrer: str | None = None) -> Entry:
        """Create a user with money."""
        return self.ledger_command(CreateUser(user=user, deposit=Micros(deposit), referrer=referrer), user, "create")

    def deposit(self, user: str, amount: int, client_order_id: str | None = None) -> Entry:
        """Deposit micros."""
        return self.ledger_command(Deposit(user=user, amount=Micros(amount)), user, "deposit", client_order_id)

    def withdraw(self, user: str, amount: int) -> Entry:
        """Withdraw micros."""
        return self.ledger_command(Withdraw(user=user, amount=Micros(amount)), user, "withdraw")

    def open(self, user: str, side: Side = Side.LONG, size: int = 1_000 * USD, leverage: int = 10, **more: str) -> str:
        """Open a position of ``size`` micros; its id."""
        ticker = more.get("ticker", "BTC-PERP")
        command = OpenPosition(ticker=ticker, user=user, side=side, size=Micros(size), leverage=leverage)
        event = self.market_command(command, user, "open")[0].events[0]
        assert isinstance(event, PositionOpened)
        return position_id(ticker, event.position.number)

    def close(self, user: str, position: str, share: int = 10**9) -> list[Entry]:
        """Close ``share`` ppb of a position."""
        ticker = position.rpartition("-")[0]
        command = ClosePosition(ticker=ticker, user=user, position_id=position, share=Ppb(share))
        return self.market_command(command, user, "close")

    def price(self, price: int, ticker: str = "BTC-PERP", reason: str | None = None) -> list[Entry]:
        """Set a market's index price, ticks, and liquidate whoever that endangers."""
        command = UpdatePrice(ticker=ticker, price=Ticks(price), source=PriceSource.ORACLE, reason=reason)
        return self.market_command(command, "feed", "price")

    def ledger_command(
        self, command: LedgerCommand, sender: str, kind: str, client_order_id: str | None = None
    ) -> Entry:
        """Decide and write a ledger command that must succeed."""
        event = decide_ledger(self.ledger, self.funds, command, self.now)
        assert not isinstance(event, Rejected), event
        self.ledger.apply(event)
        return self._write(kind, LEDGER_STREAM, sender, (event,), client_order_id)

    def market_command(self, command: MarketCommand, sender: str, kind: str) -> list[Entry]:
        """Execute and write a market command that must succeed, with its liquidations."""
        market = self.markets[command.ticker]
        held = self.funds.free(sender)
        referrer = self.ledger.referrers.get(sender)
        rows = execute(market, command, self.now, held=held, referrer=referrer)
        assert not isinstance(rows, Rejected), rows
        first, *more = rows
        return [
            self._write(kind, market.ticker, sender, first),
            *(self._write("sweep", market.ticker, None, events) for events in more),
        ]

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

    def _write(
        self, kind: str, stream: str, sender: str | None, events: Events, client_order_id: str | None = None
    ) -> Entry:
        legs: list[Leg] = []
        for event in events:
            legs.extend(self.ledger.post(transfers_of(event)))
        keeper: Ledger | Market = self.ledger if stream == LEDGER_STREAM else self.markets[stream]
        keeper.seq += 1
        self.offset += 1
        subject = subject_of(events[0])
        if sender is not None and client_order_id is None:
            client_order_id = f"cl-{self.offset}"
        row = make_row(
            self.last_hash,
            self.offset,
            self.epoch,
            stream,
            keeper.seq,
            self.now,
            kind,
            SCHEMA_VERSION,
            sender,
            client_order_id,
            b"f" * 16 if sender is not None else None,
            encode_events(events),
            self.ledger.wallet(subject) if subject else None,
        )
        self.last_hash = row.hash
        entry = Entry(row, events, tuple(legs))
        self.entries.append(entry)
        return entry
