"""``perps feed replay|check``: recorded prices, from a file or from standard input."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from zoneinfo import ZoneInfo

import rich_click as click

from perps.commands import PriceSource
from tools.argument_types import AMOUNT, MOMENT, SPEED, TICKER, Real, Whole
from tools.errors import ToolError
from tools.output import counted, progress, show_json, show_record
from tools.settings import Access, SettingsCommand, access_options, json_option

if TYPE_CHECKING:
    from tools.feeds.files import PriceFile, Tick, Understood, Window

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

JUMP_MAX: Final = 10.0


class _Zone(click.ParamType[ZoneInfo]):
    name = "zone"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> ZoneInfo:
        try:
            return ZoneInfo(str(value))
        except (ValueError, OSError, LookupError):
            self.fail(f"{str(value)!r} is not a time zone, such as Europe/Berlin or UTC", param, ctx)


FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
patience_option = click.option(
    "--patience",
    type=Real(0),
    default=60.0,
    show_default=True,
    help="Seconds to keep trying when the venue stops answering.",
)
source_option = click.option(
    "--source",
    type=click.Choice([source.value for source in PriceSource]),
    default="oracle",
    show_default=True,
    help="Who the prices are said to be from. Each source has an order of its own.",
)
sequence_option = click.option(
    "--no-sequence", is_flag=True, help="Send no sequence: for a market whose source has had one that is too high."
)


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """How a file is read, and which of its rows. The command gets ``file``, a ``PriceFile``, and ``window``."""

    @wraps(function)
    def run(
        file: Path,
        form: str,
        symbol: str | None,
        date_format: str | None,
        timezone: ZoneInfo | None,
        decimal: str | None,
        time_column: str | None,
        price_column: str | None,
        max_jump: float,
        from_ms: int | None,
        to_ms: int | None,
        limit: int | None,
        **others: Any,
    ) -> Any:
        from tools.feeds.files import Format, PriceFile, Reading, Window

        reading = Reading(Format(form), symbol, date_format, timezone, decimal, time_column, price_column)
        read = PriceFile(file, reading, time.time_ns() // 1_000_000, max_jump)
        return function(file=read, window=Window(from_ms, to_ms, limit), **others)

    options: tuple[Callable[[Any], Any], ...] = (
        click.argument("file", type=FILE),
        click.option(
            "--format",
            "form",
            type=click.Choice(["auto", "ohlc", "tick"]),
            default="auto",
            show_default=True,
            help="What a row is: an OHLC bar or a single price. auto: the columns decide.",
        ),
        click.option("--symbol", help="Of a file with several instruments, the one to play."),
        click.option("--date-format", help="How dates are written, as in Python: %d/%m/%Y %H:%M:%S"),
        click.option("--timezone", type=_Zone(), help="The zone of times that name none.  [default: UTC]"),
        click.option("--decimal", type=click.Choice([",", "."]), help="What begins the decimals of a number."),
        click.option("--time-column", help="Name or number of the column with the time; DATE+TIME for two."),
        click.option("--price-column", help="Name or number of the column with the price."),
        click.option(
            "--max-jump",
            type=Real(1, min_open=True),
            default=JUMP_MAX,
            show_default=True,
            help="The largest factor between two prices in a row.",
        ),
        click.option(
            "--from",
            "from_ms",
            type=MOMENT,
            help="Begin at this time: ISO 8601, or seconds or milliseconds since 1970.",
        ),
        click.option("--to", "to_ms", type=MOMENT, help="Stop before this time."),
        click.option("--limit", type=Whole(min=1), help="Send at most this many rows."),
    )
    wrapped: Callable[..., Any] = run
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


@click.command("replay", cls=SettingsCommand)
@reading_options
@click.option("--ticker", type=TICKER, required=True, help="The market that gets the prices.")
@click.option(
    "--speed", type=SPEED, default="60", show_default=True, help="Recorded seconds per real second; max does not wait."
)
@source_option
@sequence_option
@click.option(
    "--dry-run", is_flag=True, help="Send nothing: say what was understood, and whether the market can take it."
)
@patience_option
@access_options
@json_option
def replay_file(
    file: PriceFile,
    window: Window,
    ticker: str,
    speed: float | None,
    source: str,
    no_sequence: bool,
    dry_run: bool,
    patience: float,
    access: Access,
    as_json: bool,
) -> int:
    """Send the prices of a file to a market.

    The file is CSV as exchanges and charting programs export it, plain or compressed (gz, zip, bz2, xz), or Parquet;
    - is standard input. Its rows are OHLC bars, single prices, or ask and bid. perps feed check FILE says how it
    is understood.

    A bar becomes four prices over its time: open, low, high, close; in a falling bar the high comes before the low.
    Each price is rounded to the market's tick. Times without a zone are UTC.

    A file is checked before the first price is sent. A pipe is checked row by row while it is sent.
    """
    from tools.client import be_patient, venue_at
    from tools.feeds.files import BadFile
    from tools.feeds.files.source import is_pipe
    from tools.feeds.market_feed import PriceFeed
    from tools.feeds.player import Pacer, replay
    from tools.feeds.summary import summary

    async def play() -> PriceFeed | Understood:
        async with venue_at(access) as venue:
            feed, _ = await PriceFeed.of(venue, ticker, source, has_sequence=not no_sequence)
            be_patient(venue, patience)
            total = None
            if dry_run or not is_pipe(file.path):
                found = await asyncio.to_thread(read_through, file, window, feed.tick_size)
                if dry_run:
                    return found
                total = found.prices
            with progress("sending prices", total) as report:

                def tell(tick: Tick) -> None:
                    place = f"line {tick.line} · {counted(feed.liquidations, 'liquidation')}"
                    report(feed.sent + feed.overtaken, f"{ticker} {feed.last} · {place}")

                try:
                    blocks = file.tick_blocks(window)
                    await replay(feed, blocks if total else _on_tick(blocks, file, feed.tick_size), Pacer(speed), tell)
                except BadFile as error:
                    raise ToolError(f"{error}; {counted(feed.sent, 'price')} sent before that") from error
            return feed

    done = asyncio.run(play())
    if isinstance(done, PriceFeed):
        return summary([done], as_json=as_json)
    show_understood(file, done, as_json=as_json)
    return 0


@click.command("check", cls=SettingsCommand)
@reading_options
@click.option("--tick-size", type=AMOUNT, help="A market's tick: whether it fits the prices.")
@json_option
def check_file(file: PriceFile, window: Window, tick_size: str | None, as_json: bool) -> None:
    """Say how a price file is understood, and whether it can be played. Nothing is sent.

    It reads the whole file: its columns, times and prices. The exit code is 1 if the file cannot be played.
    """
    found = read_through(file, window, None if tick_size is None else Decimal(tick_size))
    show_understood(file, found, as_json=as_json)


def read_through(file: PriceFile, window: Window, tick_size: Decimal | None) -> Understood:
    """Check all rows, with a bar on a terminal. Errors: BadFile, BadRow; ToolError if it cannot be read."""
    gc.disable()  # there are millions of small lists and no cycles: looking for some takes a sixth of the time
    with progress("checking the file", None) as report:
        try:
            return file.read_through(window, tick_size, lambda rows: report(rows, counted(rows, "row")))
        except OSError as error:
            raise ToolError(f"{file.name}: {error.strerror or error}") from error
        finally:
            gc.enable()


def _on_tick(blocks: Iterator[list[Tick]], file: PriceFile, tick_size: Decimal) -> Iterator[list[Tick]]:
    """Of a pipe, each price is held against the tick as it comes. Errors: BadFile."""
    from tools.feeds.files import BadFile

    for ticks in blocks:
        for at, tick in enumerate(ticks):
            if (problem := file.rounding_problem(tick, tick_size)) is not None:
                yield ticks[:at]
                raise BadFile(problem)
        yield ticks


def show_understood(file: PriceFile, found: Understood, *, as_json: bool) -> None:
    """What was understood, for people or for programs."""
    from tools.feeds.files.times import shown

    layout, counts = found.layout, found.counts

    def place(tick: Tick | None) -> dict[str, object]:
        return {"price": f"{tick.price:f}", "at": shown(tick.at_ms), file.unit: tick.line} if tick else {}

    kinds = {4: ("open", "high", "low", "close"), 2: ("ask", "bid"), 1: ("price",)}[len(layout.prices)]
    record: dict[str, object] = {
        "file": file.name,
        "columns": {
            "separatedBy": found.separator,
            "time": " + ".join(map(layout.name, layout.time)),
            **{kind: layout.name(column) for kind, column in zip(kinds, layout.prices, strict=True)},
            **({} if layout.instrument is None else {"instrument": layout.name(layout.instrument)}),
        },
        "times": layout.times.words,
        "order": "newest first" if layout.is_newest_first else "oldest first",
        "rows": found.rows,
        "prices": found.prices,
        "skipped": {
            "withoutPrice": counts.empty,
            "repeated": counts.repeated,
            "replaced": counts.replaced,
            "headers": counts.headers,
            "otherInstruments": counts.others,
        },
        "first": place(found.first),
        "last": place(found.last),
        "lowest": f"{found.least:f}",
        "highest": f"{found.most:f}",
        "longestGapSeconds": found.longest_gap_ms / 1000,
    }
    if as_json:
        show_json(record)
    else:
        show_record(record)
