/** Refusals in words: what is wrong, beside which field, and what would do instead. */
import Big from "big.js";
import type { Market, Side } from "../api/venue";
import { Refused } from "../api/venue";
import * as say from "./numbers";

export type Words = {
  readonly field: "size" | "leverage" | "slippage" | null;
  readonly text: string;
  readonly button: string;
  /** A size or leverage that would do. */
  readonly use?: { readonly size?: string; readonly leverage?: number };
};

const text = (details: Readonly<Record<string, unknown>>, name: string): string => String(details[name] ?? "");

/** The most that an amount of money opens at a leverage, its fee paid: whole USD, or cents below ten. */
export function affordable(available: string, leverage: number, takerFee: string): string {
  const most = Big(available).div(Big(1).div(leverage).plus(takerFee));
  return most.lt(0) ? "0" : most.round(most.lt(10) ? 2 : 0, Big.roundDown).toFixed();
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
    const left = Big(most).minus(used).times(market.currentPrice).round(0, Big.roundDown);
    const size = left.lt(0) ? "0" : left.toFixed();
    const many = `No room for that many ${side}s`;
    return left.gt(market.minOrderSize)
      ? words("size", `The ${side} side has room for ${say.plain(size)} more.`, many, { size })
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
    case "would_be_liquidated":
      return words("leverage", `At ${leverage}× this would be liquidated at once.`, "Too close to liquidation");
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
      return words(details["field"] === "leverage" ? "leverage" : "size", refusal.message, "Check the order");
    default:
      return words(null, refusal.message, "Not possible now");
  }
}

/** What to say of any other refusal. */
export function plainly(refusal: Refused): string {
  if (refusal.code === "position_closed") return "This position is already closed.";
  if (refusal.code === "market_halted") return "The market is halted. Nothing trades and nobody is liquidated.";
  return refusal.message;
}
