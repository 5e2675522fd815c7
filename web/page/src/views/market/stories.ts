/** Where headlines lie on the chart: at the candle in which their price came. */
import { type RefObject, useEffect, useState } from "react";
import { useStories } from "../../hooks";
import { type Candle, WIDTH_MS } from "../../live/candles";
import type { Story } from "../../live/state";
import type { Interval } from "../../api/venue";
import { type Parts, seconds } from "./chart";

export type Marked = { readonly x: number; readonly stories: readonly Story[] };

/** When the candle begins that a story is in. */
export const candleOf = (story: Story, interval: Interval): number => {
  const at = Date.parse(story.at);
  return at - (at % WIDTH_MS[interval]);
};

/** The marks that are in sight, one a candle; they go with the chart when it moves. */
export function useStoryMarks(
  parts: RefObject<Parts | null>,
  ticker: string,
  interval: Interval,
  candles: readonly Candle[],
): readonly Marked[] {
  const stories = useStories(ticker);
  const [marks, setMarks] = useState<readonly Marked[]>([]);
  const count = candles.length;
  const first = candles[0]?.at;
  useEffect(() => {
    const now = parts.current;
    if (now === null) return;
    const scale = now.chart.timeScale();
    const place = () => {
      const by = new Map<number, Story[]>();
      for (const story of stories) {
        const start = candleOf(story, interval);
        by.set(start, [...(by.get(start) ?? []), story]);
      }
      const found = [...by].flatMap(([start, all]): Marked[] => {
        const x = scale.timeToCoordinate(seconds(start));
        return x === null || x < 0 || x > scale.width() ? [] : [{ x: Math.round(x), stories: all }];
      });
      setMarks((before) => (JSON.stringify(before) === JSON.stringify(found) ? before : found));
    };
    const timer = setTimeout(place, 50);
    scale.subscribeVisibleLogicalRangeChange(place);
    scale.subscribeSizeChange(place);
    return () => {
      clearTimeout(timer);
      if (parts.current !== now) return;
      scale.unsubscribeVisibleLogicalRangeChange(place);
      scale.unsubscribeSizeChange(place);
    };
  }, [parts, stories, interval, count, first]);
  return marks;
}
