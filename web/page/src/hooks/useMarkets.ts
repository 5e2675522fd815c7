import { useMemo } from "react";
import type { Market, PriceTaken, Trade } from "../api/venue";
import { body } from "../api/venue";
import { STORIES_MAX, type Story, type Tick } from "../live/state";
import { useKnown, useTab } from "./provider";
import { useQuery } from "@tanstack/react-query";

const NO_TICKS: readonly Tick[] = [];
const NO_STORIES: readonly Story[] = [];
const NO_TRADES: readonly Trade[] = [];

/** All markets, live, by ticker; null until the first snapshot. */
export function useMarkets(): readonly Market[] | null {
  const markets = useKnown((known) => known.state.markets);
  const resets = useKnown((known) => known.state.resets);
  return useMemo(
    () => (resets === 0 ? null : [...markets.values()].sort((a, b) => (a.ticker < b.ticker ? -1 : 1))),
    [markets, resets],
  );
}

/** The tickers of all markets, in order; null until the first snapshot. The same list while no market is listed. */
export function useTickers(): readonly string[] | null {
  const resets = useKnown((known) => known.state.resets);
  const text = useKnown((known) => [...known.state.markets.keys()].sort().join(" "));
  return useMemo(() => (resets === 0 ? null : text.split(" ").filter(Boolean)), [resets, text]);
}

/** One market, live; null if there is none of that name. */
export function useMarket(ticker: string): Market | null {
  return useKnown((known) => known.state.markets.get(ticker) ?? null);
}

/** What moved a market's quote since the tab looks on, oldest first. */
export function useTicks(ticker: string): { readonly ticks: readonly Tick[]; readonly from: number } {
  const told = useKnown((known) => known.state.told.get(ticker));
  return { ticks: told?.ticks ?? NO_TICKS, from: told?.from ?? 0 };
}

/** How many of a market's newest prices are looked through for headlines from before the tab looked on. */
const STORIES_IN = 500;

/** Headlines of a market, newest first: those that came since the tab looks on, and some from before. */
export function useStories(ticker: string): readonly Story[] {
  const { venue } = useTab();
  const resets = useKnown((known) => known.state.resets);
  const live = useKnown((known) => known.state.told.get(ticker)?.stories ?? NO_STORIES);
  const { data } = useQuery({
    queryKey: ["stories", ticker, resets],
    enabled: resets > 0,
    queryFn: async () => {
      const params = { path: { ticker }, query: { limit: STORIES_IN } };
      return storiesOf((await body(venue.GET("/api/markets/perps/{ticker}/prices", { params }))).prices);
    },
  });
  return useMemo(() => {
    const oldest = live.at(-1)?.offset ?? Infinity;
    return data === undefined ? live : [...live, ...data.filter(({ offset }) => offset < oldest)].slice(0, STORIES_MAX);
  }, [live, data]);
}

/** The headlines among prices, newest first, with what each changed. */
function storiesOf(prices: readonly PriceTaken[]): readonly Story[] {
  return prices.flatMap(({ source, reason, at, offset, quotePrice }, n) => {
    const before = prices[n + 1];
    if (source !== "event" || reason === null || before === undefined) return [];
    return [{ offset, at, text: reason, change: Number(quotePrice) / Number(before.quotePrice) - 1 }];
  });
}

/** A market's public trades, newest first: the last hundred, and whatever happens. */
export function useTrades(ticker: string): { readonly trades: readonly Trade[]; readonly isLoading: boolean } {
  const { venue } = useTab();
  const resets = useKnown((known) => known.state.resets);
  const live = useKnown((known) => known.state.told.get(ticker)?.trades ?? NO_TRADES);
  const { data, isLoading } = useQuery({
    queryKey: ["trades", ticker, resets],
    enabled: resets > 0,
    queryFn: () =>
      body(venue.GET("/api/markets/perps/{ticker}/trades", { params: { path: { ticker }, query: { limit: 100 } } })),
  });
  const trades = useMemo(() => joined(live, data?.trades ?? NO_TRADES), [live, data]);
  return { trades, isLoading };
}

/** Newest first, each once. */
function joined(live: readonly Trade[], past: readonly Trade[]): readonly Trade[] {
  const oldest = live.at(-1);
  if (oldest === undefined) return past;
  const seen = new Set(live.map((trade) => trade.id));
  return [...live, ...past.filter((trade) => !seen.has(trade.id) && trade.offset <= oldest.offset)].slice(0, 100);
}
