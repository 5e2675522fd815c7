/** Refusals in words: what is wrong, beside which field, and what would do instead. */
import Big from "big.js";
import type { Market, Side } from "../api/venue";
import { Refused } from "../api/venue";
import { isLess } from "../live/money";
import * as say from "./numbers";

export type Field =
  | "size"
  | "leverage"
  | "slippage"
  | "takeProfit"
  | "stopLoss"
  | "amount"
  | "price"
  | "percentage"
  | "expiresAt"
  | "slices"
  | "intervalMs"
  | "callback";

export type Words = {
  readonly field: Field | null;
  readonly text: string;
  readonly button: string;
  /** A size, leverage or amount that would do. */
  readonly use?: { readonly size?: string; readonly leverage?: number; readonly amount?: string };
};

const text = (details: Readonly<Record<string, unknown>>, name: string): string => String(details[name] ?? "");

/** The most that an amount of money opens at a leverage, its fee paid: whole USD, or cents below ten. */
export function affordable(available: string, leverage: number, takerFee: string): string {
  const most = Big(available).div(Big(1).div(leverage).plus(takerFee));
  return most.lt(0) ? "0" : most.round(most.lt(10) ? 2 : 0, Big.roundDown).toFixed();
}

/** The venue's previews do not look at the wallet: here is what they would say. */
export function shortOf(required: string | null | undefined, available: string | null | undefined): Refused | null {
  if (required == null || available == null || !isLess(available, required)) return null;
  return new Refused("insufficient_funds", "", { required, available }, "", null);
}

/** What to say of a refused open. */
export function ofOpen(refusal: Refused, market: Market, side: Side, leverage: number): Words {
  const { code, details } = refusal;
  const words = (field: Words["field"], said: string, button: string, use?: Words["use"]): Words => ({
    field,
    text: said,
    button,
    ...(use && { use }),
  });
  const room = (used: string, most: string) => {
    const said = details["largestSize"];
    const left = (said === undefined ? Big(most).minus(used).times(market.currentPrice) : Big(String(said))).round(
      0,
      Big.roundDown,
    );
    const size = left.lt(0) ? "0" : left.toFixed();
    const many = `No room for that many ${side}s`;
    return left.gt(market.minOrderSize)
      ? words("size", `The ${side} side has room for ${say.plain(size)} more. ${reach(market)}`, many, { size })
      : words("size", `The ${side} side of this market is full.`, many);
  };
  switch (code) {
    case "insufficient_funds": {
      const available = text(details, "available");
      const size = affordable(available, leverage, market.takerFee);
      const said = `That needs ${say.money(text(details, "required"))}. You have ${say.spendable(available)}.`;
      return words("size", said, "Not enough available", { size });
    }
    case "leverage_too_high":
      return words("leverage", `This market goes up to ${market.maxLeverage}×.`, "Leverage is too high", {
        leverage: market.maxLeverage,
      });
    case "position_size_too_small": {
      const lot = Big(market.lotSize).times(market.currentPrice).times("1.01");
      const size = (lot.gt(market.minOrderSize) ? lot : Big(market.minOrderSize)).round(2, Big.roundUp).toFixed();
      return words("size", `The least here is ${say.money(size)}.`, "Size is too small", { size });
    }
    case "position_size_too_large":
      return { ...room("0", market.maxOpenInterest), button: "Size is too large" };
    case "open_interest_exceeded":
      return room(market.openInterest[side], market.maxOpenInterest);
    case "max_skew_exceeded":
      return room(side === "long" ? market.skew : Big(market.skew).times(-1).toFixed(), market.maxSkew);
    case "price_beyond_limit":
      return words("slippage", "The price moved further than you accept. Nothing was spent.", "Price moved");
    case "user_limit_exceeded":
      return limitOf(details, market, words);
    case "would_be_liquidated":
      return words("leverage", `At ${leverage}× this would be liquidated at once.`, "Too close to liquidation");
    case "order_would_trigger":
      return ofExits(refusal, market);
    case "price_unconfirmed":
      return words(null, unconfirmed(market, details), "Waiting for a price");
    case "price_stale":
      return words(null, "The last price is too old. Trading goes on with the next one.", "Waiting for a price");
    case "market_halted":
      return words(null, "Halted. Nothing trades and nobody is liquidated.", "Halted");
    case "market_reduce_only":
      return words(null, "Only closing is possible in this market.", "Only closing is possible");
    case "unauthorized":
    case "forbidden":
      return words(null, "This key is not known or has ended.", "Sign in again");
    case "validation_error":
      return words(fieldOf(details), refusal.message, "Check the order");
    case "position_closed":
    case "position_not_found":
      return words(null, "This position is closed already.", "It is closed already");
    default:
      return words(null, refusal.message, "Not possible now");
  }
}

/** Why a market has only so much room. */
export const reach = ({ tradingRange }: Market): string =>
  `Trading may move the price ${say.percent(Number(tradingRange.byOpens), 1)} from the index, no further.`;

/** What one person may hold in a market has been reached. */
function limitOf(
  details: Readonly<Record<string, unknown>>,
  market: Market,
  words: (field: Words["field"], said: string, button: string) => Words,
): Words {
  const { maxPositionsPerUser: count, maxNotionalPerUser: most } = market;
  if ("maxPositionsPerUser" in details && count !== null)
    return words(null, `One person may have ${count} positions here. Close one, or add to one.`, "No more positions");
  const limit = most ?? text(details, "maxNotionalPerUser");
  return words("size", `One person may hold ${say.money(limit)} here, all positions together.`, "Size is too large");
}

const FIELDS: readonly string[] = [
  "size",
  "leverage",
  "takeProfit",
  "stopLoss",
  "price",
  "percentage",
  "expiresAt",
  "slices",
  "intervalMs",
  "callback",
] satisfies Field[];

export function fieldOf(details: Readonly<Record<string, unknown>>): Field {
  const named = text(details, "field");
  return FIELDS.includes(named) ? (named as Field) : "size";
}

/** A price that waits: which, and how often it has been said. */
export function unconfirmed(market: Market, details: Readonly<Record<string, unknown>> = {}): string {
  const held = market.heldPrice?.price ?? details["heldPrice"];
  const count = market.heldPrice?.count ?? details["confirmed"];
  const what =
    held === undefined ? "A price far from the last one" : `The price ${say.price(String(held), market.tickSize)}`;
  const often = count === undefined ? "" : `, said ${count} of ${market.priceConfirmations} times`;
  return `${what} waits to be confirmed${often}. Until then nothing trades and nobody is liquidated.`;
}

/** What to say of refused exits: those of an open, or of a position. */
export function ofExits(refusal: Refused, market: Market): Words {
  const { code, details } = refusal;
  if (code === "order_would_trigger") {
    const isStop = "stopLoss" in details;
    const [asked, mark] = [text(details, isStop ? "stopLoss" : "takeProfit"), text(details, "markPrice")];
    const reached = `The price is at ${say.price(mark, market.tickSize)} already`;
    const what = isStop ? "stop" : "take-profit";
    return {
      field: isStop ? "stopLoss" : "takeProfit",
      text: `${reached}: this ${what} at ${say.price(asked, market.tickSize)} would close at once.`,
      button: isStop ? "Stop is on the wrong side" : "Profit is on the wrong side",
    };
  }
  if (code === "validation_error")
    return { field: fieldOf(details), text: refusal.message, button: "Check the prices" };
  return { field: null, text: plainly(refusal, market), button: "Not possible now" };
}

/** What to say of margin that was not taken in, or not given out. */
export function ofMargin(refusal: Refused, market: Market): Words {
  const { code, details } = refusal;
  const most = text(details, "available");
  if (code === "insufficient_margin" || code === "insufficient_funds") {
    const isOut = code === "insufficient_margin";
    const some = Big(most || "0").round(2, Big.roundDown);
    const said = isOut
      ? `The position needs its margin: ${say.spendable(most || "0")} can come out now.`
      : `You have ${say.spendable(most || "0")}.`;
    const use = some.gt(0) ? { use: { amount: some.toFixed() } } : {};
    return { field: "amount", text: said, button: isOut ? "That is too much" : "Not enough available", ...use };
  }
  if (code === "validation_error") return { field: "amount", text: refusal.message, button: "Check the amount" };
  return { field: null, text: plainly(refusal, market), button: "Not possible now" };
}

const PLAIN: Readonly<Partial<Record<string, string>>> = {
  position_closed: "This position is already closed.",
  position_not_found: "This position is already closed.",
  market_halted: "The market is halted. Nothing trades and nobody is liquidated.",
  market_reduce_only: "This market lets people only leave: margin stays where it is.",
  market_not_halted: "Halt the market first, so that everybody sees it coming.",
  price_stale: "The last price is too old. This goes on with the next one.",
  house_cannot_pay: "The market's house cannot pay this now. Nothing was done: try again when it has been funded.",
  price_beyond_limit: "The price moved further than you accept. Nothing was done.",
  order_pending: "It waits for the next price and cannot be taken back before that.",
  cancel_timer: "Its cancel timer ran out.",
  order_closed: "This order has ended already.",
  order_not_found: "This order has ended already.",
  too_many_open_orders: "There are as many orders here as there can be. Cancel one first.",
  position_size_too_small: "The size was below what this market takes.",
  position_size_too_large: "The size was more than this market takes.",
  max_skew_exceeded: "The market had no room for it.",
  open_interest_exceeded: "The market had no room for it.",
  would_be_liquidated: "It would have been liquidated at once.",
  order_would_trigger: "Its own profit or stop would have closed it at once.",
  user_limit_exceeded: "You hold the most that one person may hold in this market.",
  unauthorized: "This key is not known or has ended. Sign in again.",
  forbidden: "This key may not do that.",
};

/** What to say of any other refusal. */
export function plainly(refusal: Refused, market: Market | null = null): string {
  if (refusal.code === "price_unconfirmed" && market !== null) return unconfirmed(market, refusal.details);
  return PLAIN[refusal.code] ?? refusal.message;
}
