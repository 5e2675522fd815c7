/** Orders that wait, in words: what they are for, why one was refused, and how one ended. */
import type { ErrorCode, Market, Order, Side } from "../api/venue";
import { Refused } from "../api/venue";
import { type Decimal, times } from "../live/money";
import * as say from "./numbers";
import { type Words, ofExits, ofOpen, plainly } from "./refusals";

export type Waits = { readonly type: string; readonly side: Side; readonly reduceOnly?: boolean };

/** How much an order is for: dollars, or the share of its position that it closes. */
export type Amount = { readonly size: Decimal | null; readonly percentage?: Decimal | null };

const TYPES: Readonly<Record<string, string>> = {
  limit: "Limit",
  stop: "Stop",
  take_profit: "Take-profit",
  trailing_stop: "Trailing stop",
  twap: "TWAP",
  market: "Market",
  withdrawal: "Margin out",
};

const TYPES_OF_EXITS: Readonly<Record<string, string>> = { ...TYPES, stop: "Stop-loss", market: "Close" };

/** What an order is called. Of a market that trades at the next price, a close is an order, too. */
export const typeName = ({ type, reduceOnly }: { readonly type: string; readonly reduceOnly?: boolean }): string =>
  (reduceOnly ? TYPES_OF_EXITS : TYPES)[type] ?? type;

/** What an order is called within a sentence. */
export const inText = (order: { readonly type: string; readonly reduceOnly?: boolean }): string =>
  order.type === "twap" ? "TWAP" : typeName(order).toLowerCase();

/** `1,000`, or of an exit `50%` */
export const amountOf = ({ size, percentage }: Amount): string =>
  size === null ? say.percent(Number(percentage ?? "1"), 0) : say.plain(size);

/** Whether an order waits for the next price, whatever that is: it cannot be changed or taken back meanwhile. */
export const isForNextPrice = ({ type }: { readonly type: string }): boolean =>
  type === "market" || type === "withdrawal";

/** Whether an order is an exit of a position, by a share of it, at a price. */
export const isExitOf = (order: Pick<Order, "type" | "reduceOnly" | "positionId">, positionId: string): boolean =>
  order.reduceOnly && order.positionId === positionId && !isForNextPrice(order);

export const SIDES = { long: "Long", short: "Short" } as const;

/** Whether the price has to fall to it: a limit waits for a better price, a stop for one that goes its way. */
export const falls = ({ type, side, reduceOnly }: Waits): boolean =>
  (reduceOnly ? type !== "take_profit" : type === "limit") === (side === "long");

/** `Limit long 1,000 BTC at 9,800.00` */
export function orderName(
  order: Waits & Amount & { readonly ticker: string; readonly price: Decimal; readonly twap?: Order["twap"] },
  market: Market | null,
): string {
  const price = say.price(order.price, market?.tickSize ?? "0.01");
  if (order.twap)
    return `TWAP ${order.side} ${amountOf(order)} ${say.base(order.ticker)} in ${order.twap.slices} parts`;
  return `${typeName(order)} ${order.side} ${amountOf(order)} ${say.base(order.ticker)} at ${price}`;
}

/** How much of a position a share is, in words: `half of it`. */
export const shareName = (share: Decimal | null | undefined): string =>
  Number(share ?? 1) === 1
    ? "all of it"
    : Number(share) === 0.5
      ? "half of it"
      : `${say.plain(times(share ?? "1", 100))} % of it`;

/** What an order waits for. */
export function purpose(
  order: Waits & { readonly price: Decimal; readonly percentage?: Decimal | null },
  market: Market,
): string {
  const [now, at] = [Number(order.type === "limit" ? market.currentPrice : market.markPrice), Number(order.price)];
  const price = say.price(order.price, market.tickSize);
  const away = say.percent(Math.abs(at / now - 1), 1);
  if (order.reduceOnly)
    return `When the mark price ${falls(order) ? "falls" : "rises"} to ${price} (${away} from now), this closes ${shareName(order.percentage)} at the market.`;
  if (order.type === "stop")
    return `When the mark price ${falls(order) ? "falls" : "rises"} to ${price} (${away} from now), this opens a ${order.side} at the market.`;
  if (falls(order) ? at > now : at < now)
    return `The price is better already: this fills at once, at about ${say.price(now, market.tickSize)}.`;
  return `This opens a ${order.side} at ${price} or ${falls(order) ? "lower" : "higher"}, ${away} from now. Until then it waits.`;
}

/** Whether the mark has reached a stop or an exit that is not placed yet: the venue would refuse it. */
export function isReached(order: Waits & { readonly price: Decimal }, market: Market): boolean {
  if (order.type !== "stop" && !order.reduceOnly) return false;
  const [mark, at] = [Number(market.markPrice), Number(order.price)];
  return falls(order) ? mark <= at : mark >= at;
}

/** Whether an order's own profit or stop lies on the wrong side of its price; null: neither does. */
export function ofOwnExits(
  order: Waits & { readonly price: Decimal },
  exits: { readonly takeProfit?: Decimal; readonly stopLoss?: Decimal },
  market: Market,
): Words | null {
  const [at, way] = [Number(order.price), order.side === "long" ? 1 : -1];
  const wrong = (field: "takeProfit" | "stopLoss", name: string, price: Decimal): Words => ({
    field,
    text: `A position that begins at ${say.price(at, market.tickSize)} would close at once by this ${name} at ${say.price(price, market.tickSize)}.`,
    button: `${name === "stop" ? "Stop" : "Profit"} is on the wrong side`,
  });
  if (exits.stopLoss !== undefined && way * (Number(exits.stopLoss) - at) >= 0)
    return wrong("stopLoss", "stop", exits.stopLoss);
  if (exits.takeProfit !== undefined && way * (Number(exits.takeProfit) - at) <= 0)
    return wrong("takeProfit", "take-profit", exits.takeProfit);
  return null;
}

/** What to say of a refused order, or of one that would be. */
export function ofOrder(refusal: Refused, market: Market, order: Waits & { readonly leverage: number }): Words {
  const { code, details } = refusal;
  if (code === "order_would_trigger" && "price" in details) {
    const mark = say.price(String(details["markPrice"] ?? market.markPrice), market.tickSize);
    const where = falls(order) ? "below" : "above";
    if (order.reduceOnly)
      return {
        field: "price",
        text: `This exit of a ${order.side} waits ${where} the price. The mark price is ${mark}. To leave now, close the position.`,
        button: `The price must be ${where} ${mark}`,
      };
    return {
      field: "price",
      text: `A stop to go ${order.side} waits ${where} the price. The mark price is ${mark}. To trade now, use Market.`,
      button: `The price must be ${where} ${mark}`,
    };
  }
  if (code === "order_would_trigger") return ofExits(refusal, market);
  if (code === "too_many_open_orders" || code === "order_closed" || code === "order_not_found")
    return {
      field: null,
      text: plainly(refusal, market),
      button: code === "too_many_open_orders" ? "Too many orders" : "It has ended",
    };
  return ofOpen(refusal, market, order.side, order.leverage);
}

/** How an order ended, for whoever looks on; null: its owner knows, who cancelled it or waited for the next price. */
export function endOf(order: Order, market: Market | null): { title: string; text: string; isGood: boolean } | null {
  if (isForNextPrice(order)) return null;
  const name = `${say.base(order.ticker)} ${inText(order)}`;
  const back = order.reduceOnly ? "" : `${say.money(order.reserve)} are back in your wallet.`;
  if (order.twap && order.status !== "expired" && (order.status === "filled" || order.reason === "completed")) {
    const { filled, left } = order.twap;
    const price = order.averagePrice === null ? "" : ` at ${say.price(order.averagePrice, market?.tickSize ?? "0.01")}`;
    const rest =
      Number(left) > 0
        ? ` ${say.money(left)} could not be taken: ${whyOf({ ...order, reason: order.twap.skipReason }, market)}`
        : "";
    return {
      title: `${name} is done`,
      text: `${SIDES[order.side]} ${say.money(filled)}${price}.${rest}`,
      isGood: rest === "",
    };
  }
  if (order.status === "filled") {
    const at = order.averagePrice ?? order.price;
    const price = say.price(at, market?.tickSize ?? "0.01");
    return {
      title: `${name} filled`,
      text: order.reduceOnly
        ? `${amountOf(order)} of your ${order.side} closed at ${price}.`
        : `${SIDES[order.side]} ${amountOf(order)} at ${price}.`,
      isGood: true,
    };
  }
  if (order.status === "expired")
    return { title: `${name} expired`, text: `It did not fill. ${back}`.trim(), isGood: false };
  if (order.reason === null || order.reason === "owner" || order.reason === "position_closed") return null;
  return { title: `${name} could not fill`, text: `${whyOf(order, market)} ${back}`.trim(), isGood: false };
}

/** Why an order was cancelled. */
export function whyOf({ reason }: Order, market: Market | null): string {
  return reason === null || reason === "owner"
    ? "You cancelled it."
    : reason === "completed"
      ? "Its last part could not be taken."
      : plainly(new Refused(reason as ErrorCode, `The venue says: ${reason}.`, {}, "", null), market);
}

/** How long an order may wait, in hours; null: until it is cancelled. */
export const EXPIRIES: readonly (readonly [hours: number | null, words: string])[] = [
  [null, "you cancel it"],
  [1, "1 hour from now"],
  [24, "1 day from now"],
  [168, "1 week from now"],
  [720, "30 days from now"],
];

/** The prices that are one click away: below the present one where the order waits for a fall, else above. */
export function offsetsOf(order: Waits): readonly { readonly by: number; readonly name: string }[] {
  const way = falls(order) ? -1 : 1;
  const shares = order.type === "limit" ? [0, 0.01, 0.02, 0.05] : [0.01, 0.02, 0.05, 0.1];
  return shares.map((share) => ({
    by: way * share,
    name: share === 0 ? "Now" : say.percent(way * share, 0, { isSigned: true }),
  }));
}
