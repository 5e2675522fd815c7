/** The order in the ticket: what was used last, else what a first visit begins with. */
import Big from "big.js";
import { useState } from "react";
import type { Market, Side } from "../../api/venue";
import { type Decimal, decimal, isLess } from "../../live/money";
import * as say from "../../words/numbers";
import { type Words, affordable } from "../../words/refusals";
import { useKept } from "../frame/desk";
import { NO_EXITS } from "./exits";

const FIRST_LEVERAGE = 10;
const FIRST_SIZE = "1000";

type Kept = Partial<{ side: Side; size: string; leverage: number; slippage: string }>;

/** What all kinds of orders have: the ticket keeps it while its kind changes. */
export type Draft = ReturnType<typeof useDraft>;

export function useDraft(market: Market, available: Decimal | null) {
  const [kept, keep] = useKept<Kept>("ticket", {});
  const [side, setSide] = useState<Side>(kept.side ?? "long");
  const most = market.maxLeverage;
  const [chosen, setLeverage] = useState(kept.leverage ?? FIRST_LEVERAGE);
  const leverage =
    kept.leverage === undefined && chosen === FIRST_LEVERAGE
      ? Math.max(1, Math.min(chosen, Math.floor(most / 2)))
      : Math.min(chosen, most);
  const [typed, setTyped] = useState<string | null>(kept.size === undefined ? null : say.plain(kept.size));
  const setSize = (amount: string) => setTyped(say.plain(amount));
  const tenth =
    available === null ? FIRST_SIZE : affordable(Big(available).div(10).toFixed(), leverage, market.takerFee);
  const size = typed ?? say.plain(isLess(tenth, FIRST_SIZE) ? tenth : FIRST_SIZE);
  const [slippage, setSlippage] = useState(kept.slippage ?? "50");
  const [exits, setExits] = useState(NO_EXITS);
  const amount = decimal(size);
  const remember = () => amount !== null && keep({ side, size: amount, leverage: chosen, slippage });
  const use = (offer: NonNullable<Words["use"]>) => {
    if (offer.size !== undefined) setSize(offer.size);
    if (offer.leverage !== undefined) setLeverage(offer.leverage);
  };
  return {
    side,
    setSide,
    /** As it is typed, and as the venue takes it; null: it is no amount. */
    size,
    amount,
    setTyped,
    setSize,
    leverage,
    setLeverage,
    slippage,
    setSlippage,
    exits,
    setExits,
    remember,
    use,
  };
}
