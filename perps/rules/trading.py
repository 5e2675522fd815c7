"""Every check of an open and a close, and the money a reduction moves: ``decide_*`` → an event or ``Rejected``.

Nothing here changes state. Checks run in the order of ``RejectCode``; past the last one the command must succeed.
"""

from typing import Final

from perps.commands import ClosePosition, OpenPosition, Side, limit_price, signed
from perps.events import CloseReason, Fill, PositionOpened, PositionReduced, Transfer, TransferKind, Transfers
from perps.market.position import (
    Position,
    equity,
    funding_owed,
    is_liquidatable,
    maintenance,
    position_id,
    split_position_id,
)
from perps.market.pricing import most_lots
from perps.market.state import Market
from perps.money.accounts import FEES, house_account, insurance_account, margin_account, user_account
from perps.params import MarketParams, Mode
from perps.refusals import Fact, RejectCode, Rejected
from perps.units import (
    BPS,
    HOUSE_DEBT_MAX,
    MICRO,
    PICO,
    PPB,
    Lots,
    Micros,
    Millis,
    Ppb,
    div_ceil,
    div_floor,
)


def hold_bound(size: Micros, leverage: int, taker_fee: Ppb) -> Micros:
    """The most an open of ``size`` can take from a wallet: ceil(size/leverage) + ceil(size·fee), micros."""
    return Micros(div_ceil(size, max(leverage, 1)) + div_ceil(size * taker_fee, PPB))


def decide_open(
    market: Market, command: OpenPosition, at: Millis, *, held: Micros, referrer: str | None
) -> PositionOpened | Rejected:
    """Open a position of at most ``command.size``, paid from ``held`` (what the ledger set aside for it)."""
    params = market.params
    if command.leverage < 1 or command.size < 1:
        return _reject(RejectCode.VALIDATION_ERROR, rule="size and leverage are at least 1")
    shut = _shut(market, at, opening=True)
    if shut:
        return shut
    if command.size < params.min_order_size:
        return _reject(
            RejectCode.POSITION_SIZE_TOO_SMALL,
            size_micros=command.size,
            min_order_size_micros=params.min_order_size,
        )
    sign = 1 if command.side is Side.LONG else -1
    count = most_lots(
        command.size,
        sign,
        index_price=market.index_price,
        unit=market.unit,
        skew=market.skew,
        skew_scale=params.skew_scale,
    )
    lots = signed(command.side, count)
    refused = _check_size(market, command, lots)
    if refused:
        return refused
    fill = _fill(market, lots)
    margin = Micros(div_ceil(abs(fill.cost), command.leverage))
    position = Position(
        number=market.next_number,
        user=command.user,
        lots=lots,
        cash=Micros(margin + funding_owed_floor(lots, market) - fill.cost),
        margin=margin,
        leverage=command.leverage,
        entry_cost=Micros(abs(fill.cost)),
        funding_paid=Micros(0),
        opened_at=at,
        referrer=referrer,
    )
    if is_liquidatable(position, fill.mark_price, params, market.funding_index):
        return _reject(
            RejectCode.WOULD_BE_LIQUIDATED,
            equity_micros=equity(position, fill.mark_price, params.unit, market.funding_index),
            maintenance_micros=maintenance(lots, fill.mark_price, params),
        )
    beyond = _beyond_limit(market, fill, command)
    if beyond:
        return beyond
    fee = Micros(div_ceil(abs(fill.cost) * params.taker_fee, PPB))
    if margin + fee > held:
        return _reject(RejectCode.INSUFFICIENT_FUNDS, required_micros=margin + fee, available_micros=held)
    referral, fee_legs = _fee_legs(command.user, referrer, fee, params)
    post = Transfer(user_account(command.user), margin_account(params.ticker), margin, TransferKind.MARGIN)
    return PositionOpened(position, fill, fee, referral, (post, *fee_legs))


def decide_close(market: Market, command: ClosePosition, at: Millis) -> PositionReduced | Rejected:
    """Close ``share`` of a position: floor(|q|·share/10⁹) lots, at least one."""
    if not 0 < command.share <= PPB:
        return _reject(RejectCode.VALIDATION_ERROR, rule="0 < share ≤ 1", share_ppb=command.share)
    found = _find(market, command)
    if isinstance(found, Rejected) and found.code is not RejectCode.POSITION_CLOSED:
        return found
    shut = _shut(market, at, opening=False)
    if shut:
        return shut
    if isinstance(found, Rejected):
        return found
    count = max(1, div_floor(abs(found.lots) * command.share, PPB))
    reduced = reduce(market, found, count, CloseReason.OWNER)
    rest = reduced.position
    if rest.lots and (
        reduced.bad_debt or is_liquidatable(rest, reduced.fill.mark_price, market.params, market.funding_index)
    ):
        return _reject(
            RejectCode.WOULD_BE_LIQUIDATED,
            equity_micros=equity(rest, reduced.fill.mark_price, market.params.unit, market.funding_index),
            maintenance_micros=maintenance(rest.lots, reduced.fill.mark_price, market.params),
        )
    beyond = _beyond_limit(market, reduced.fill, command)
    return beyond or house_cannot_pay(market, reduced) or reduced


def reduce(market: Market, position: Position, count: int, reason: CloseReason) -> PositionReduced:
    """Close ``count`` lots (unsigned, 1 … |q|) of a position at the present quote: sizes, money and the rest.

    Qc = floor(Q·c/q); settlement = Qc − ceil(c·F/10⁹) − C(−c); mc = floor(m·c/q); pnl = settlement − mc.
    A settlement below 0 is bad debt: the insurance pays what it has, the house goes without the remainder.
    The fee, taker or liquidation, is at most the settlement, so an owner is never billed for leaving. Both are
    charged on the exit notional |C|, and a listing keeps liquidation fee ≥ taker fee: a liquidation never pays better.
    """
    params, index = market.params, market.funding_index
    size = abs(position.lots)
    closed = count if position.lots > 0 else -count
    fill = _fill(market, Lots(-closed))
    cash = div_floor(position.cash * count, size)
    margin = Micros(div_floor(position.margin * count, size))
    entry = div_floor(position.entry_cost * count, size)
    funding = funding_owed(closed, index)
    payout = cash - funding - fill.cost
    settlement, bad_debt = Micros(max(payout, 0)), Micros(max(-payout, 0))
    pnl = Micros(payout - margin)
    rate = params.taker_fee if reason is CloseReason.OWNER else params.liquidation_fee
    fee = Micros(min(div_ceil(abs(fill.cost) * rate, PPB), settlement))
    referral, fee_legs = (
        _fee_legs(position.user, position.referrer, fee, params)
        if reason is CloseReason.OWNER
        else (Micros(0), _liquidation_fee_leg(position.user, fee, params))
    )
    rest = Position(
        number=position.number,
        user=position.user,
        lots=Lots(position.lots - closed),
        cash=Micros(position.cash - cash),
        margin=Micros(position.margin - margin),
        leverage=position.leverage,
        entry_cost=Micros(position.entry_cost - entry),
        funding_paid=Micros(position.funding_paid + funding),
        opened_at=position.opened_at,
        referrer=position.referrer,
    )
    settled = _settlement_legs(market, position.user, margin=margin, pnl=pnl, bad_debt=bad_debt)
    return PositionReduced(
        position=rest,
        fill=fill,
        reason=reason,
        margin_released=margin,
        entry_released=Micros(entry),
        pnl=pnl,
        funding=funding,
        settlement=settlement,
        fee=fee,
        referral=referral,
        bad_debt=bad_debt,
        transfers=(*settled, *fee_legs),
    )


def house_cannot_pay(market: Market, reduced: PositionReduced) -> Rejected | None:
    """A refusal that halts the market, when a gain would take the house below its credit limit."""
    limit = market.params.house_credit_limit
    limit = HOUSE_DEBT_MAX if limit is None else limit
    if reduced.pnl <= 0 or market.house - reduced.pnl >= -limit:
        return None
    facts: dict[str, Fact] = {
        "reason": "house_empty",
        "house_micros": market.house,
        "payout_micros": reduced.pnl,
        "credit_limit_micros": limit,
    }
    return Rejected(code=RejectCode.MARKET_HALTED, facts=facts, halt="house_empty")


def funding_owed_floor(lots: Lots, market: Market) -> int:
    """floor(d·F/10⁹): what a fill of ``lots`` adds to cash so that funding counts from now. Against the trader."""
    return div_floor(lots * market.funding_index, PPB)


def _reject(code: RejectCode, **facts: Fact) -> Rejected:
    return Rejected(code=code, facts=facts)


def _shut(market: Market, at: Millis, *, opening: bool) -> Rejected | None:
    """Why this market does not trade right now, if it does not: its mode first, then its price's age."""
    if market.mode is Mode.HALTED:
        return _reject(RejectCode.MARKET_HALTED, mode=market.mode, reason=market.mode_reason)
    if opening and market.mode is Mode.REDUCE_ONLY:
        return _reject(RejectCode.MARKET_REDUCE_ONLY, mode=market.mode, reason=market.mode_reason)
    limit = market.params.max_price_age
    if limit is not None and at - market.price_at > limit:
        return _reject(RejectCode.PRICE_STALE, age_ms=at - market.price_at, max_age_ms=limit)
    return None


def _check_size(market: Market, command: OpenPosition, lots: Lots) -> Rejected | None:
    """Size, leverage, skew and open interest, in that order."""
    params = market.params
    if lots == 0:
        smallest = abs(market.cost(signed(command.side, 1)))
        return _reject(RejectCode.POSITION_SIZE_TOO_SMALL, size_micros=command.size, one_lot_micros=smallest)
    if abs(lots) > params.max_open_interest:
        return _reject(
            RejectCode.POSITION_SIZE_TOO_LARGE,
            quantity_lots=abs(lots),
            max_open_interest_lots=params.max_open_interest,
        )
    if command.leverage > params.max_leverage:
        return _reject(RejectCode.LEVERAGE_TOO_HIGH, leverage=command.leverage, max_leverage=params.max_leverage)
    skew, after = market.skew, market.skew + lots
    if abs(after) > params.max_skew and abs(after) >= abs(skew):
        return _reject(RejectCode.MAX_SKEW_EXCEEDED, skew_lots=after, max_skew_lots=params.max_skew)
    side = market.long_lots if lots > 0 else market.short_lots
    if side + abs(lots) > params.max_open_interest:
        return _reject(
            RejectCode.OPEN_INTEREST_EXCEEDED,
            open_interest_lots=side + abs(lots),
            max_open_interest_lots=params.max_open_interest,
        )
    return None


def _find(market: Market, command: ClosePosition) -> Position | Rejected:
    parts = split_position_id(command.position_id)
    number = parts[1] if parts and command.position_id == position_id(market.ticker, parts[1]) else 0
    position = market.positions.get(number)
    if position is not None:
        if position.user != command.user and not command.any_owner:
            return _reject(RejectCode.FORBIDDEN, position=command.position_id)
        return position
    if 0 < number < market.next_number:
        return _reject(RejectCode.POSITION_CLOSED, position=command.position_id)
    return _reject(RejectCode.POSITION_NOT_FOUND, position=command.position_id)


def _fill(market: Market, lots: Lots) -> Fill:
    skew = market.skew
    quote_after = market.quote_at(skew + lots)
    return Fill(
        lots,
        market.cost(lots),
        market.index_price,
        market.mark_given(quote_after, market.index_price),
        market.quote_at(skew),
        quote_after,
        market.funding_index,
    )


def _beyond_limit(market: Market, fill: Fill, command: OpenPosition | ClosePosition) -> Rejected | None:
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


_PRICE_SCALE: Final = PICO * PICO // MICRO
"""Micros · this / pico of the base asset = pico of a price."""


def _worse(fill: Fill, bound: int, scale: int, params: MarketParams) -> Rejected:
    """The refusal of a fill that costs more, or brings less, than ``bound``/``scale`` micros.

    Money and prices are rounded down; a price that is not 0 is told as 1 pico at least.
    """
    paid, size = abs(fill.cost), abs(fill.lots) * params.lot_size
    return _reject(
        RejectCode.PRICE_BEYOND_LIMIT,
        price_pico=max(div_floor(paid * _PRICE_SCALE, size), min(paid, 1)),
        acceptable_price_pico=max(div_floor(bound * _PRICE_SCALE, scale * size), min(bound, 1)),
        paid_micros=paid,
        accepted_micros=div_floor(bound, scale),
    )


def _fee_legs(user: str, referrer: str | None, fee: Micros, params: MarketParams) -> tuple[Micros, Transfers]:
    """The referrer's part, floor(fee·share/10⁹), and the transfers; the shares sum to the fee exactly."""
    referral = div_floor(fee * params.referral_share, PPB) if referrer else 0
    legs: list[Transfer] = []
    if fee > referral:
        legs.append(Transfer(user_account(user), FEES, Micros(fee - referral), TransferKind.FEE))
    if referrer and referral:
        legs.append(Transfer(user_account(user), user_account(referrer), Micros(referral), TransferKind.REFERRAL))
    return Micros(referral), tuple(legs)


def _liquidation_fee_leg(user: str, fee: Micros, params: MarketParams) -> Transfers:
    if not fee:
        return ()
    insurance = insurance_account(params.ticker)
    return (Transfer(user_account(user), insurance, fee, TransferKind.LIQUIDATION_FEE),)


def _settlement_legs(market: Market, user: str, *, margin: Micros, pnl: Micros, bad_debt: Micros) -> Transfers:
    """margin → user what is left of it · margin → house a loss · house → user a gain · insurance → house bad debt."""
    ticker = market.ticker
    wallet, posted, house = user_account(user), margin_account(ticker), house_account(ticker)
    returned = min(margin, max(margin + pnl, 0))
    covered = min(bad_debt, max(market.insurance, 0))
    moves = (
        (posted, wallet, returned, TransferKind.MARGIN_RETURN),
        (posted, house, margin - returned, TransferKind.LOSS),
        (house, wallet, max(pnl, 0), TransferKind.PROFIT),
        (insurance_account(ticker), house, covered, TransferKind.BAD_DEBT),
    )
    return tuple(Transfer(source, target, Micros(amount), kind) for source, target, amount, kind in moves if amount)
