/** Candles that go on by themselves: a page of the venue's, and every tick after it. */
import type { Interval } from "../api/venue";
import type { Tick } from "./state";

export type Candle = {
  readonly at: number;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volume: number;
};

/** Candles oldest first, as of a journal row. */
export type CandlePage = { readonly candles: readonly Candle[]; readonly offset: number };

export const WIDTH_MS: Readonly<Record<Interval, number>> = {
  "1m": 60_000,
  "5m": 300_000,
  "15m": 900_000,
  "1h": 3_600_000,
  "4h": 14_400_000,
  "1d": 86_400_000,
};
export const CANDLES_MAX = 1_000;
const GAP_MAX = 200;

/** The page with all ticks after its row. The same page, if there are none. */
export function continued(page: CandlePage, ticks: readonly Tick[], width: number): CandlePage {
  const news = ticks.filter((tick) => tick.offset > page.offset);
  const last = news.at(-1);
  if (last === undefined) return page;
  const candles = [...page.candles];
  for (const tick of news) take(candles, tick, width);
  return { candles: candles.slice(-CANDLES_MAX), offset: last.offset };
}

function take(candles: Candle[], { at, quote, volume }: Tick, width: number): void {
  const start = at - (at % width);
  const last = candles.at(-1);
  if (last !== undefined && start <= last.at) {
    candles[candles.length - 1] = {
      ...last,
      high: Math.max(last.high, quote),
      low: Math.min(last.low, quote),
      close: quote,
      volume: last.volume + volume,
    };
    return;
  }
  if (last !== undefined)
    for (let gap = Math.max(last.at + width, start - GAP_MAX * width); gap < start; gap += width)
      candles.push({ at: gap, open: last.close, high: last.close, low: last.close, close: last.close, volume: 0 });
  candles.push({ at: start, open: quote, high: quote, low: quote, close: quote, volume });
}
