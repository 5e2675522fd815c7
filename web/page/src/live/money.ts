/** Exact sums of the venue's decimal texts. What the page computes itself is here: live profit, equity, distances. */
import Big from "big.js";
import type { Market, Position } from "../api/venue";

export type Decimal = string;

export function sum(...values: readonly Decimal[]): Decimal {
  return values.reduce((total, value) => total.plus(value), Big(0)).toFixed();
}

export function minus(one: Decimal, other: Decimal): Decimal {
  return Big(one).minus(other).toFixed();
}

export function times(one: Decimal, other: Decimal | number): Decimal {
  return Big(one).times(other).toFixed();
}

/** `one / other` to so many decimals; "0" where there is nothing to divide by. */
export function share(one: Decimal, other: Decimal, decimals = 8): Decimal {
  const by = Big(other);
  return by.eq(0) ? "0" : Big(one).div(by).toFixed(decimals);
}

export function isLess(one: Decimal, other: Decimal): boolean {
  return Big(one).lt(other);
}

export function sign(value: Decimal): -1 | 0 | 1 {
  const big = Big(value);
  return big.eq(0) ? 0 : big.lt(0) ? -1 : 1;
}

const HAS_COMMA = new Intl.NumberFormat(undefined).format(1.5).includes(",");

/** A number as people type it, as the venue takes it; null: it is none. `hasComma`: decimals come behind a comma. */
export function decimal(text: string, hasComma = HAS_COMMA): Decimal | null {
  let plain = text.replace(/[\s'’\u202f\u00a0]/g, "");
  if (!hasComma) plain = plain.replaceAll(",", "");
  else if (plain.includes(",") || /^\d{1,3}(\.\d{3})+$/.test(plain))
    plain = plain.replaceAll(".", "").replace(",", ".");
  return /^\d{1,15}(\.\d{0,12})?$/.test(plain) ? Big(plain).toFixed() : null;
}

/**
 * What a position has gained by now, USD: what it had gained when the venue told it, and what its quantity has gained
 * since by the mark price. Funding counts as the venue told it last.
 */
export function pnlNow(position: Position, mark: Decimal): Decimal {
  const moved = Big(mark).minus(position.markPrice).times(position.quantity);
  return Big(position.unrealizedPnL)
    .plus(position.side === "long" ? moved : moved.times(-1))
    .toFixed();
}

/** Whether a stop-loss comes too late: the position is liquidated before it, or at the same price. */
export function isTooLate(side: Position["side"], stop: Decimal, liquidation: Decimal | null): boolean {
  if (liquidation === null) return false;
  return side === "long" ? Big(stop).lte(liquidation) : Big(stop).gte(liquidation);
}

/** The multiple of `tick` that is next to a price. */
export function onTick(price: number, tick: Decimal): Decimal {
  return Big(Math.max(1, Math.round(price / Number(tick))))
    .times(tick)
    .toFixed();
}

/** Where a trailing stop is due after a best mark: so far behind it, on the tick away from it, as the venue has it. */
export function trailingPrice(side: Position["side"], best: Decimal, callback: Decimal, tick: Decimal): Decimal {
  const isLong = side === "long";
  return Big(best)
    .times(Big(1).plus(isLong ? Big(callback).times(-1) : callback))
    .div(tick)
    .round(0, isLong ? Big.roundDown : Big.roundUp)
    .times(tick)
    .toFixed();
}

/** What an order keeps for its fill, USD: the margin and the fee of its whole size. */
export function reserveOf(size: Decimal, leverage: number, takerFee: Decimal): Decimal {
  return Big(size).div(leverage).plus(Big(size).times(takerFee)).toFixed(6);
}

/** About where a position that begins at a price is liquidated, on the tick; null: nowhere. The venue says it exactly. */
export function liquidationAbout(
  market: Market,
  side: Position["side"],
  price: Decimal,
  leverage: number,
): Decimal | null {
  const [by, margin, kept] = [side === "long" ? 1 : -1, 1 / leverage, Number(market.maintenanceRate)];
  const at = (Number(price) * (1 - by * margin)) / (1 - by * kept);
  return at > 0 ? onTick(at, market.tickSize) : null;
}

export type Room = {
  /** How far the mark is from the liquidation price, as a share of the mark; below 0 it is due. */
  readonly away: number;
  /** Where the mark is between the liquidation price (0), the entry (0.5) and as far in profit (1). */
  readonly at: number;
};

/** The room that a position has left; null when it has no liquidation price. */
export function roomOf(position: Position, mark: Decimal): Room | null {
  if (position.liquidationPrice === null) return null;
  const [now, end, entry] = [Number(mark), Number(position.liquidationPrice), Number(position.entryPrice)];
  const side = position.side === "long" ? 1 : -1;
  const whole = 2 * Math.abs(entry - end);
  const left = side * (now - end);
  return { away: now === 0 ? 0 : left / now, at: whole === 0 ? 0 : Math.min(1, Math.max(0, left / whole)) };
}

/** The funding rate at a moment: the venue's line goes on from when it was told, and is cut off at its limit. */
export function fundingAt(market: Market, hoursSince: number): number {
  const most = Number(market.maxFundingRate) / 24;
  const rate = Number(market.fundingRate.rate) + Number(market.fundingRate.velocity) * hoursSince;
  return Math.min(most, Math.max(-most, rate));
}
