"""Twins: a market restored from its image, beside the one that the image was taken of. Both must decide alike.

What a market keeps besides its state (who is due first, which exits and orders wait) is made anew when it is restored.
If something of it is forgotten, the accounts are still right, until a command comes that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from perps.commands import MarketCommand, OrderKind
from perps.events import Event, OrderCancelled
from perps.market.order import EXPIRED
from perps.market.state import Market
from perps.money.ledger import Ledger
from perps.refusals import Rejected
from perps.sequencer import NOTHING_HELD, Decision, Held, MarketSide, Moment
from perps.snapshot.images import MarketImage
from tests.perps.build import full_state

Outcome = tuple[Iterator[Decision], Rejected | None]
Done = tuple[list[Decision], Rejected | None]


def restored(side: MarketSide) -> MarketSide:
    """What a start would make of the image of a market now, by way of its bytes."""
    market = side.market
    assert market is not None
    twin = MarketSide(side._ticker, Market.from_image(MarketImage.from_chunks(list(market.image().chunks()))))
    twin._doubtful_price_at = side._doubtful_price_at
    return twin


def difference(side: MarketSide, twin: MarketSide, outcome: Done, again: Done) -> str | None:
    """What a market and its twin made of the same command, where that is not the same."""
    if outcome != again:
        return f"it answers {again}, and not {outcome}"
    one, other = (full_state(Ledger(), {"": each.market})[""] for each in (side, twin) if each.market is not None)
    return None if one == other else f"it is {other} behind it, and not {one}"


def _is_expiry_of_a_limit(event: Event) -> bool:
    if not isinstance(event, OrderCancelled):
        return False
    return event.reason == EXPIRED and event.order.kind is OrderKind.LIMIT


def _all(outcome: Outcome) -> Done:
    decisions, refused = outcome
    return list(decisions), refused


@contextmanager
def twins(complain: Callable[[str], None], *, every: int = 1) -> Iterator[None]:
    """In here each ``every``-th command of a market is done by its twin, too; ``complain`` is told of a difference.

    A market that is restored has nothing left to do, either: what was due was done behind the last command. But a limit
    that was tried in vain waits in no list for this quote: if its time is over, it ends by the next look at the time,
    or by a start, whichever comes first.
    """
    run, count = MarketSide.run, 0

    def both(side: MarketSide, command: MarketCommand, moment: Moment, held: Held = NOTHING_HELD) -> Outcome:
        nonlocal count
        count += 1
        if side.market is None or count % every:
            return run(side, command, moment, held)
        twin = restored(side)
        late = list(twin.finish())
        if late and all(_is_expiry_of_a_limit(event) for made in late for event in made.events):
            return run(side, command, moment, held)
        outcome = _all(run(side, command, moment, held))
        try:
            problem = difference(side, twin, outcome, _all(run(twin, command, moment, held)))
        except Exception as error:  # noqa: BLE001 - whatever it stumbles over, the market did not
            problem = f"it fails: {error!r}"
        if late:
            problem = f"it has {late} left to do"
        if problem:
            complain(f"{side._ticker} restored before {command}: {problem}")
        return iter(outcome[0]), outcome[1]

    with patch.object(MarketSide, "run", both):
        yield
