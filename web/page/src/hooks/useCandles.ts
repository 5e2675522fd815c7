import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef } from "react";
import type { Interval } from "../api/venue";
import { body } from "../api/venue";
import { type Candle, type CandlePage, WIDTH_MS, continued } from "../live/candles";
import { useKnown, useTab } from "./provider";
import { useTicks } from "./useMarkets";

type Row = [at: number, open: string, high: string, low: string, close: string, volume: string, count: number];

const NONE: readonly Candle[] = [];

/** A market's candles of its quote, oldest first, live. */
export function useCandles(
  ticker: string,
  interval: Interval,
  limit = 300,
): { readonly candles: readonly Candle[]; readonly isLoading: boolean } {
  const { venue } = useTab();
  const { ticks, from } = useTicks(ticker);
  const resets = useKnown((known) => known.state.resets);
  const { data, isLoading, refetch } = useQuery({
    queryKey: ["candles", ticker, interval, limit, resets],
    enabled: resets > 0,
    queryFn: async (): Promise<CandlePage> => {
      const params = { path: { ticker }, query: { interval, limit, fill: "1" as const } };
      const page = await body(venue.GET("/api/markets/perps/{ticker}/candles", { params }));
      const candles = (page.candles as Row[]).map(([at, open, high, low, close, volume]) => ({
        at,
        open: Number(open),
        high: Number(high),
        low: Number(low),
        close: Number(close),
        volume: Number(volume),
      }));
      return { candles, offset: page.offset };
    },
  });
  const held = useRef<{ readonly page: CandlePage; readonly now: CandlePage } | null>(null);
  const { now, isGap } = useMemo(() => {
    if (data === undefined) return { now: null, isGap: false };
    const before = held.current?.page === data ? held.current.now : data;
    const isGap = before.offset < from && ticks.some((tick) => tick.offset > before.offset);
    const now = isGap ? before : continued(before, ticks, WIDTH_MS[interval]);
    held.current = { page: data, now };
    return { now, isGap };
  }, [data, ticks, from, interval]);
  useEffect(() => {
    if (isGap) void refetch();
  }, [isGap, refetch]);
  return { candles: now?.candles ?? NONE, isLoading };
}
