import {
  CandlestickSeries,
  type IChartApi,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  HistogramSeries,
  LineStyle,
  type Time,
  type UTCTimestamp,
  createChart,
  createSeriesMarkers,
} from "lightweight-charts";
import { memo, useEffect, useRef, useState } from "react";
import type { Interval } from "../../api/venue";
import { type LivePosition, useCandles, useNow, useStories } from "../../hooks";
import { type Candle, WIDTH_MS } from "../../live/candles";
import * as say from "../../words/numbers";
import { candleOf, useStoryMarks } from "./stories";
import { type Far, farOf, useOwnLines } from "./lines";
import { useKept } from "../frame/desk";
import { Icon, vars } from "../frame/parts";
import { colour, onTheme } from "../frame/theme";

export const INTERVALS = Object.keys(WIDTH_MS) as Interval[];
const ROOM = 4;
const NARROW = 40;
const WIDE = 160;
/** A market that is young has so few candles that they would stand at the edge of an empty chart. */
const FEW = 24;
/** Lines beyond an edge that are named. */
const FAR_MAX = 2;

/** Axis times are the reader's own: the canvas knows no zones. */
export const seconds = (at: number): UTCTimestamp =>
  (at / 1_000 - new Date(at).getTimezoneOffset() * 60) as UTCTimestamp;

type At = { readonly ticker: string; readonly tickSize: string };

export const Chart = memo(function Chart(market: At) {
  const [interval, setInterval_] = useKept<Interval>("interval", "1m");
  const { candles, isLoading } = useCandles(market.ticker, interval);
  const [at, setAt] = useState<Candle | null>(null);
  const stories = useStories(market.ticker);
  const there = at && stories.find((one) => candleOf(one, interval) === at.at);
  const story = there ?? stories[0];
  return (
    <section className="chart" aria-label={`Chart of ${market.ticker}, candles of ${interval}`}>
      <div className="tools">
        <div className="seg" role="group" aria-label="Interval">
          {INTERVALS.map((name) => (
            <button key={name} aria-pressed={name === interval} onClick={() => setInterval_(name)}>
              {name}
            </button>
          ))}
        </div>
        {at && !there ? (
          <Legend candle={at} market={market} />
        ) : (
          story && (
            <span className="story">
              <Icon name="info" className="own" />
              <span>
                <b>{say.time(story.at)}</b> {story.text}{" "}
                <span className={story.change < 0 ? "down" : "up"}>
                  {say.percent(story.change, 1, { isSigned: true })}
                </span>
              </span>
            </span>
          )
        )}
      </div>
      <div className="canvas whole ages">
        <Drawing
          ticker={market.ticker}
          tickSize={market.tickSize}
          candles={candles}
          interval={interval}
          onLook={setAt}
        />
        {!isLoading && candles.length === 0 && <p className="empty over-chart">No trades here yet.</p>}
        <CandleEnd width={WIDTH_MS[interval]} />
      </div>
      <p className="vh">{sentence(candles, market)}</p>
    </section>
  );
});

function sentence(candles: readonly Candle[], market: At): string {
  const [first, last] = [candles[0], candles.at(-1)];
  if (first === undefined || last === undefined) return "There are no candles yet.";
  const tell = (value: number) => say.price(value, market.tickSize);
  const [low, high] = [Math.min(...candles.map((one) => one.low)), Math.max(...candles.map((one) => one.high))];
  const went = last.close < first.open ? "Fell" : "Rose";
  return `${went} from ${tell(first.open)} to ${tell(last.close)}; low ${tell(low)}, high ${tell(high)}.`;
}

function Legend({ candle, market }: { candle: Candle; market: At }) {
  const tell = (value: number) => say.price(value, market.tickSize);
  return (
    <span className="story legend">
      O <b>{tell(candle.open)}</b> H <b>{tell(candle.high)}</b> L <b>{tell(candle.low)}</b> C{" "}
      <b>{tell(candle.close)}</b> V <b>{say.compact(candle.volume)}</b>
    </span>
  );
}

/** When the present candle ends, and whose chart this is. */
function CandleEnd({ width }: { width: number }) {
  const now = useNow(1_000);
  return (
    <div className="candle-end faint" aria-hidden="true">
      next candle in {say.span((width - (now % width)) / 1_000)} ·{" "}
      <a href="https://www.tradingview.com/" target="_blank" rel="noreferrer" tabIndex={-1}>
        chart by TradingView
      </a>
    </div>
  );
}

export type Parts = {
  readonly chart: IChartApi;
  readonly prices: ISeriesApi<"Candlestick">;
  readonly volumes: ISeriesApi<"Histogram">;
  readonly entries: ISeriesMarkersPluginApi<Time>;
};

function begin(place: HTMLElement, decimals: number): Parts {
  const chart = createChart(place, {
    autoSize: true,
    localization: {
      locale: navigator.language,
      priceFormatter: (value: number) => say.price(value, `0.${"0".repeat(decimals)}`),
    },
    layout: { attributionLogo: false, fontSize: 11 },
    rightPriceScale: { scaleMargins: { top: 0.08, bottom: 0.22 } },
    timeScale: { timeVisible: true, rightOffset: ROOM, minBarSpacing: 2 },
    handleScale: { axisPressedMouseMove: true },
  });
  const step = {
    type: "custom" as const,
    minMove: 10 ** -decimals,
    formatter: (value: number) => say.price(value, `0.${"0".repeat(decimals)}`),
  };
  const volumes = chart.addSeries(HistogramSeries, {
    priceScaleId: "volume",
    priceFormat: { type: "volume" },
    lastValueVisible: false,
    priceLineVisible: false,
  });
  chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
  const prices = chart.addSeries(CandlestickSeries, { priceFormat: step, priceLineStyle: LineStyle.Dotted });
  return { chart, prices, volumes, entries: createSeriesMarkers<Time>(prices, []) };
}

function paint({ chart, prices }: Parts): void {
  const [up, down, text, line] = ["--up", "--down", "--faint", "--line"].map((token) => colour(token)) as [
    string,
    string,
    string,
    string,
  ];
  chart.applyOptions({
    layout: {
      background: { color: colour("--surface") },
      textColor: text,
      fontFamily: getComputedStyle(document.body).fontFamily,
    },
    grid: { vertLines: { visible: false }, horzLines: { color: colour("--line", 0.6) } },
    rightPriceScale: { borderColor: line },
    timeScale: { borderColor: line },
    crosshair: {
      vertLine: { labelBackgroundColor: colour("--muted") },
      horzLine: { labelBackgroundColor: colour("--muted") },
    },
  });
  prices.applyOptions({
    upColor: "rgba(0, 0, 0, 0)",
    borderUpColor: up,
    wickUpColor: up,
    downColor: down,
    borderDownColor: down,
    wickDownColor: down,
    priceLineColor: colour("--text"),
  });
}

const bar = ({ at, open, high, low, close }: Candle) => ({ time: seconds(at), open, high, low, close });
const tall = ({ at, open, close, volume }: Candle) => ({
  time: seconds(at),
  value: volume,
  color: close < open ? colour("--down", 0.45) : colour("--up", 0.35),
});

function Drawing(props: {
  ticker: string;
  tickSize: string;
  candles: readonly Candle[];
  interval: Interval;
  onLook: (candle: Candle | null) => void;
}) {
  const { candles, interval, onLook, ...market } = props;
  const place = useRef<HTMLDivElement>(null);
  const parts = useRef<Parts | null>(null);
  const drawn = useRef<{ of: string; first: number; count: number; last: number } | null>(null);
  const known = useRef(candles);
  known.current = candles;
  const [theme, repaint] = useState(0);
  const decimals = say.decimalsOf(market.tickSize);

  useEffect(() => {
    const made = (parts.current = begin(place.current!, Math.max(2, decimals)));
    paint(made);
    setTestHandle(place.current!, made);
    made.chart.subscribeCrosshairMove(({ time }) => {
      onLook(time === undefined ? null : (known.current.find((candle) => seconds(candle.at) === time) ?? null));
    });
    const forget = onTheme(() => repaint((count) => count + 1));
    return () => {
      forget();
      made.chart.remove();
      parts.current = drawn.current = null;
    };
  }, [decimals, onLook]);

  useEffect(() => {
    if (parts.current === null) return;
    paint(parts.current);
    drawn.current = null;
  }, [theme]);

  useEffect(() => {
    const [now, of] = [parts.current, `${market.ticker} ${interval}`];
    const [first, last] = [candles[0], candles.at(-1)];
    if (now === null || first === undefined || last === undefined) {
      now?.prices.setData([]);
      now?.volumes.setData([]);
      drawn.current = null;
      return;
    }
    const before = drawn.current;
    if (before?.of === of && before.first === first.at && before.count <= candles.length && last.at >= before.last)
      for (const candle of candles.slice(Math.max(0, before.count - 1))) {
        now.prices.update(bar(candle));
        now.volumes.update(tall(candle));
      }
    else {
      now.prices.setData(candles.map(bar));
      now.volumes.setData(candles.map(tall));
      if (before?.of !== of) fit(now.chart, candles.length, place.current?.clientWidth ?? 0);
    }
    drawn.current = { of, first: first.at, count: candles.length, last: last.at };
  }, [candles, interval, market.ticker, theme]);

  const { own, lines } = useOwnLines(parts, place, market, theme);
  const begun = candles[0]?.at;
  const opened = own.map(({ id }) => id).join(" ");
  useEffect(() => {
    if (begun !== undefined)
      parts.current?.entries.setMarkers(own.flatMap((position) => entryMark(position, begun, interval)));
  }, [opened, begun, interval, theme]);
  const [far, setFar] = useState<readonly Far[]>([]);
  useEffect(() => {
    const timer = setTimeout(() => {
      const found = farOf(parts.current, lines, place.current?.clientHeight ?? 0);
      setFar((before) => (JSON.stringify(before) === JSON.stringify(found) ? before : found));
    }, 50);
    return () => clearTimeout(timer);
  }, [lines, candles]);
  const marks = useStoryMarks(parts, market.ticker, interval, candles);
  return (
    <>
      <div ref={place} className="drawing" aria-hidden="true" />
      {marks.map(({ x, stories }) => (
        <i
          key={stories[0]!.offset}
          className="mark news"
          aria-hidden="true"
          data-testid="story-mark"
          style={vars({ "--x": `${x}px` })}
          title={stories.map((one) => `${say.time(one.at)} ${one.text}`).join("\n")}
        />
      ))}
      {(["up", "down"] as const).map((where) => (
        <Beyond key={where} where={where} all={far.filter((one) => one.where === where)} tick={market.tickSize} />
      ))}
    </>
  );
}

/** Lines beyond an edge of the chart: the nearest in words, how many more there are. */
function Beyond({ where, all, tick }: { where: "up" | "down"; all: readonly Far[]; tick: string }) {
  const more = all.length - FAR_MAX;
  return (
    <div className={`far ${where}`} aria-hidden="true">
      {all.slice(0, FAR_MAX).map((one) => (
        <span key={one.id} className={one.kind}>
          {where === "up" ? "▲" : "▼"} {one.name} {say.price(one.price, tick)}
        </span>
      ))}
      {more > 0 && <span className="order">{more} more</span>}
    </div>
  );
}

/** The newest candles, with some room at their right. */
function fit(chart: IChartApi, count: number, width: number): void {
  const whole = width < 560 ? NARROW : Math.max(NARROW, Math.min(Math.floor(width / 9), WIDE));
  const shown = Math.min(whole, Math.max(FEW, count));
  chart.timeScale().setVisibleLogicalRange({ from: count - shown, to: count + ROOM });
}

const setTestHandle = (place: HTMLElement, { prices }: Parts) =>
  Object.assign(place, {
    lastCandle: () => prices.data().at(-1) ?? null,
    yOf: (price: number) => prices.priceToCoordinate(price),
  });

/** Where a position was opened: nothing, if that was before the first candle. */
function entryMark({ side, openedAt }: LivePosition, begun: number, interval: Interval) {
  const at = Date.parse(openedAt);
  if (at < begun) return [];
  const isLong = side === "long";
  return [
    {
      time: seconds(at - (at % WIDTH_MS[interval])),
      position: isLong ? ("belowBar" as const) : ("aboveBar" as const),
      shape: isLong ? ("arrowUp" as const) : ("arrowDown" as const),
      color: colour("--accent"),
    },
  ];
}
