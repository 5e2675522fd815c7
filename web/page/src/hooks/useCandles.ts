import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
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
  const queries = useQueryClient();
  const { ticks, from } = useTicks(ticker);
  const resets = useKnown((known) => known.state.resets);
  const queryKey = ["candles", ticker, interval, limit, resets];
  const { data, isLoading, refetch } = useQuery({
    queryKey,
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
  useEffect(() => {
    if (data === undefined) return;
    const isGap = data.offset < from && ticks.some((tick) => tick.offset > data.offset);
    if (isGap) void refetch();
    else queries.setQueryData<CandlePage>(queryKey, (page) => page && continued(page, ticks, WIDTH_MS[interval]));
  }, [data, ticks, from]); // eslint-disable-line -- the key follows from what is listed
  return { candles: data?.candles ?? NONE, isLoading };
}
