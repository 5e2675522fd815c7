"""What trading rules have in common: which position, whether a market trades now, a fill, its limit, a fee's legs."""

from typing import Final

from perps.commands import ClosePosition, OpenPosition, TradeNet, limit_price
from perps.effects import Ordered, OrderStatus
from perps.events import Fill, Transfer, TransferKind, Transfers
from perps.market.order import Order
from perps.market.position import Position, position_id, split_position_id
from perps.market.pricing import trade_cost
from perps.market.state import Market
from perps.market.triggers import is_profit_due, is_stop_due
from perps.money.accounts import FEES, user_account
from perps.params import MarketParams, Mode
from perps.refusals import Fact, RejectCode, Rejected
from perps.rules.rule import Given
from perps.units import BPS, MICRO, PICO, PPB, Lots, Micros, Ppb, Ticks, div_ceil, div_floor

_PRICE_SCALE: Final = PICO * PICO // MICRO
"""Micros · this / pico of the base asset = pico of a price."""

TERMS_RULE: Final = "size and leverage are at least 1"

CLOSED: Final = (Mode.HALTED, Mode.SETTLED)
"""Modes in which nobody trades and nobody is liquidated."""


def reject(code: RejectCode, **facts: Fact) -> Rejected:
    """A refusal with the numbers that were compared."""
    return Rejected(code=code, facts=facts)


def first_of(*refusals: Rejected | None) -> Rejected | None:
    """The first in precedence; None when there is none."""
    found = [refusal for refusal in refusals if refusal is not None]
    return min(found, key=lambda refusal: _ORDER.index(refusal.code)) if found else None


_ORDER: Final = list(RejectCode)
"""Precedence."""


def find(market: Market, name: str, owner: str | None) -> Position | Rejected:
    """The open position of an id, if it belongs to ``owner`` (None: whoever owns it).

    ``position_closed`` comes late in the order of refusals: what comes before it is for the caller to check first.
    """
    parts = split_position_id(name)
    number = parts[1] if parts and name == position_id(market.ticker, parts[1]) else 0
    position = market.positions.get(number)
    if position is not None:
        return position if owner is None or position.user == owner else reject(RejectCode.FORBIDDEN, position=name)
    if 0 < number < market.next_number:
        return reject(RejectCode.POSITION_CLOSED, position=name)
    return reject(RejectCode.POSITION_NOT_FOUND, position=name)


def shut(market: Market, given: Given, *, opening: bool) -> Rejected | None:
    """Why this market does not trade right now, if it does not: its mode first, then its price's age."""
    if market.mode in CLOSED:
        return reject(RejectCode.MARKET_HALTED, mode=market.mode, reason=market.mode_reason)
    if opening and market.mode is Mode.REDUCE_ONLY:
        return reject(RejectCode.MARKET_REDUCE_ONLY, mode=market.mode, reason=market.mode_reason)
    return not_to_be_used(market, given)


def not_to_be_used(market: Market, given: Given) -> Rejected | None:
    """Why nothing may happen at the present price: no trade, no liquidation. None: it may."""
    limit = market.params.max_price_age
    if limit is not None:
        age_ms = market.price_age_ms(given.at, given.doubtful_price_at)
        if age_ms > limit:
            return reject(RejectCode.PRICE_STALE, age_ms=age_ms, max_age_ms=limit)
    return unconfirmed(market)


def unconfirmed(market: Market) -> Rejected | None:
    """Refuse while a price waits to be confirmed: neither it nor the index is to be believed."""
    held = market.held_price
    if held is None:
        return None
    return reject(
        RejectCode.PRICE_UNCONFIRMED,
        held_price_ticks=held.price,
        index_price_ticks=market.index_price,
        confirmed=held.count,
        needed=market.params.price_confirmations,
    )


def usable(found: Position | Rejected, closed_doors: Rejected | None) -> Position | Rejected:
    """A position that was asked for, or why nothing can be done with it now.

    In the documented order: not there or somebody else's, then the market's doors, and last that it is closed.
    """
    if isinstance(found, Rejected) and found.code is not RejectCode.POSITION_CLOSED:
        return found
    return closed_doors or found


def would_trigger(position: Position, mark: Ticks) -> Rejected | None:
    """Refuse exits that are due at once: nobody leaves at a price that they have seen and call a trigger."""
    if is_stop_due(position, mark):
        return reject(RejectCode.ORDER_WOULD_TRIGGER, stop_loss_ticks=position.stop_loss or 0, mark_price_ticks=mark)
    if is_profit_due(position, mark):
        return reject(
            RejectCode.ORDER_WOULD_TRIGGER, take_profit_ticks=position.take_profit or 0, mark_price_ticks=mark
        )
    return None


def leverage_too_high(market: Market, leverage: int, lots: int, held: int = 0, worth: int | None = None) -> Rejected:
    """Refuse a leverage that a position of this size may not have: what it may have, and what would fit.

    ``lots`` (signed) are to be added to ``held``. ``worth``: of a lot at the price of an order, micros; None: at the
    present quote.
    """
    params = market.params
    if not params.tiers:
        return reject(RejectCode.LEVERAGE_TOO_HIGH, leverage=leverage, max_leverage=params.max_leverage)
    room = max(params.lots_at(leverage) - abs(held), 0)
    fits = abs(market.cost(room if lots > 0 else -room)) if worth is None else room * worth
    return reject(
        RejectCode.LEVERAGE_TOO_HIGH,
        leverage=leverage,
        max_leverage=params.leverage_of(held + lots),
        quantity_lots=abs(held + lots),
        largest_quantity_lots=params.lots_at(leverage),
        largest_size_micros=fits,
    )


def fill_of(market: Market, lots: Lots) -> Fill:
    """The trade of ``lots`` (signed) at the present quote."""
    skew, index_price, scale = market.skew, market.index_price, market.params.skew_scale
    quote_after = market.quote_at(skew + lots)
    return Fill(
        lots,
        trade_cost(lots, index_price=index_price, unit=market.unit, skew=skew, skew_scale=scale),
        index_price,
        market.mark_given(quote_after, index_price),
        market.quote_at(skew),
        quote_after,
        market.funding_index,
    )


def filled(order: Order | None, position: Position, fill: Fill | None = None) -> tuple[Ordered, ...]:
    """That an order has been filled, if there was one; a TWAP rests on while it has slices left."""
    if order is None:
        return ()
    status = OrderStatus.OPEN if order.twap is not None and not order.twap.is_over else OrderStatus.FILLED
    return (Ordered(order, status, position=position.number, fill=fill),)


def number_of(order: Order | None) -> int | None:
    """The number of the order that a trade has filled, if there was one."""
    return None if order is None else order.number


def beyond_limit(market: Market, fill: Fill, command: OpenPosition | ClosePosition | TradeNet) -> Rejected | None:
    """Refuse a fill worse than the caller accepts; compared exactly, by cross-multiplication.

    An average price |C|/(|d|·lot) is beyond a limit when it is higher and the fill buys, or lower and it sells. The
    slippage bound is taken from the exact quote p = S·(Ks + K)/Ks before the trade.
    """
    params, count = market.params, abs(fill.lots)
    direction = 1 if fill.lots > 0 else -1
    limit, slippage = limit_price(command), command.max_slippage_bps
    bounds: list[tuple[int, int]] = []  # the most or least micros, as a fraction
    if limit is not None:
        bounds.append((limit * count * params.lot_size, _PRICE_SCALE))
    if slippage is not None:
        quoted = market.index_price * params.unit * (params.skew_scale + market.skew) * count
        bounds.append((quoted * (BPS + direction * slippage), params.skew_scale * BPS))
    for bound, scale in bounds:
        if direction * (abs(fill.cost) * scale - bound) > 0:
            return _worse(fill, bound, scale, params)
    return None


def _worse(fill: Fill, bound: int, scale: int, params: MarketParams) -> Rejected:
    """The refusal of a fill that costs more, or brings less, than ``bound``/``scale`` micros.

    Money and prices are rounded down; a price that is not 0 is told as 1 pico at least.
    """
    paid, size = abs(fill.cost), abs(fill.lots) * params.lot_size
    return reject(
        RejectCode.PRICE_BEYOND_LIMIT,
        price_pico=max(div_floor(paid * _PRICE_SCALE, size), min(paid, 1)),
        acceptable_price_pico=max(div_floor(bound * _PRICE_SCALE, scale * size), min(bound, 1)),
        paid_micros=paid,
        accepted_micros=div_floor(bound, scale),
    )


def trading_fee(market: Market, fill: Fill, taker_fee: Ppb) -> Micros:
    """What a fill is charged, before it is applied: ceil(|C|·(n·maker + (|d| − n)·taker) / (|d|·10⁹)), micros.

    n lots of it bring the skew K nearer to 0: min(|d|, |K|) when it trades against the skew, else 0. Where the market
    charges no maker fee, all lots are takers'. Rounded up, against the trader. ``taker_fee``: the market's, or a lower
    one that was promised, which makers pay at most, too.
    """
    params, cost = market.params, abs(fill.cost)
    skew, lots = market.skew, fill.lots
    if not params.charges_maker_fee or skew * lots >= 0:
        return Micros(div_ceil(cost * taker_fee, PPB))
    count = abs(lots)
    nearer = min(count, abs(skew))
    charged = nearer * min(params.maker_fee, taker_fee) + (count - nearer) * taker_fee
    return Micros(div_ceil(cost * charged, count * PPB))


def fee_legs(user: str, referrer: str | None, fee: Micros, params: MarketParams) -> tuple[Micros, Transfers]:
    """The referrer's part, floor(fee·share/10⁹), and the transfers; the shares sum to the fee exactly."""
    referral = div_floor(fee * params.referral_share, PPB) if referrer else 0
    legs: list[Transfer] = []
    if fee > referral:
        legs.append(Transfer(user_account(user), FEES, Micros(fee - referral), TransferKind.FEE))
    if referrer and referral:
        legs.append(Transfer(user_account(user), user_account(referrer), Micros(referral), TransferKind.REFERRAL))
    return Micros(referral), tuple(legs)
