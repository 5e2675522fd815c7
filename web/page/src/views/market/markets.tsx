import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, memo, useDeferredValue, useMemo } from "react";
import type { Market } from "../../api/venue";
import { body } from "../../api/venue";
import { useEvery, useMarkets, useTab } from "../../hooks";
import * as say from "../../words/numbers";
import { useDesk, useKept } from "../frame/desk";
import { Fading, Icon, Tri, tone } from "../frame/parts";
import { pickIn } from "../frame/pick";

export const FIGURES = ["24 h change", "Volume 24 h", "Open interest", "Funding"] as const;
type Figure = (typeof FIGURES)[number];

export const openInterest = ({ openInterest: { long, short }, markPrice }: Market): number =>
  (Number(long) + Number(short)) * Number(markPrice);

export const MODES: Readonly<Record<Market["status"], string>> = {
  enabled: "",
  reduce_only: "reduce only",
  halted: "halted",
  settled: "settled",
  unavailable: "restarting",
};

export function Change({ market }: { market: Market }) {
  const percent = market.changePercent24h;
  const shade = tone(percent);
  return (
    <span className={shade}>
      {shade !== "faint" && <Tri isDown={shade === "down"} />}
      {say.percent(Number(percent) / 100, 2, { isSigned: true })}
    </span>
  );
}

function FigureOf({ market, figure }: { market: Market; figure: Figure }) {
  if (figure === "24 h change") return <Change market={market} />;
  if (figure === "Volume 24 h") return <span className="faint">{say.compact(market.volume24h)}</span>;
  if (figure === "Open interest") return <span className="faint">{say.compact(openInterest(market))}</span>;
  return <span className="faint">{say.percent(Number(market.fundingRate.rate), 4, { isSigned: true })}</span>;
}

/** Favourites first, otherwise as the venue lists them. */
export function useSorted(): {
  markets: readonly Market[] | null;
  stars: readonly string[];
  star: (t: string) => void;
} {
  const markets = useMarkets();
  const [stars, keep] = useKept<readonly string[]>("stars", []);
  const sorted = useMemo(
    () => markets && [...markets].sort((a, b) => Number(stars.includes(b.ticker)) - Number(stars.includes(a.ticker))),
    [markets, stars],
  );
  const star = (ticker: string) =>
    keep(stars.includes(ticker) ? stars.filter((one) => one !== ticker) : [...stars, ticker]);
  return { markets: sorted, stars, star };
}

export function Markets() {
  const { ticker } = useDesk();
  const { markets: now, stars, star } = useSorted();
  // When all prices move, the market that is looked at comes first: the list follows when there is time.
  const markets = useDeferredValue(now);
  const [figure, setFigure] = useKept<Figure>("figure", "24 h change");
  return (
    <section className="panel markets" aria-labelledby="h-markets">
      <div className="head">
        <h2 id="h-markets">Markets</h2>
        <label className="choose faint s">
          <span className="vh">Figure beside the price</span>
          <select value={figure} onChange={(event) => setFigure(event.target.value as Figure)}>
            {FIGURES.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      </div>
      <nav className="scroll ages" aria-label="Markets" onKeyDown={upAndDown}>
        {markets?.map((market) => (
          <Row
            key={market.ticker}
            market={market}
            figure={figure}
            isHere={market.ticker === ticker}
            isStarred={stars.includes(market.ticker)}
            star={star}
          />
        ))}
        {markets?.length === 0 && (
          <div className="empty">
            <b>No markets yet</b>
            <span>The operator lists them.</span>
          </div>
        )}
      </nav>
    </section>
  );
}

/** Arrows go from market to market. */
function upAndDown(event: KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>(".cover")];
  const at = all.indexOf(document.activeElement as HTMLElement);
  if (step === undefined || at < 0) return;
  event.preventDefault();
  all[Math.min(all.length - 1, Math.max(0, at + step))]?.focus();
}

type RowProps = { market: Market; figure: Figure; isHere: boolean; isStarred: boolean; star: (ticker: string) => void };

const Row = memo(
  function Row({ market, figure, isHere, isStarred, star }: RowProps) {
    const { ticker, name, status } = market;
    return (
      <div className="mk" data-testid={`market-${ticker}`} aria-current={isHere ? "true" : undefined}>
        <button
          className="star"
          aria-label={`Favourite ${say.base(ticker)}`}
          aria-pressed={isStarred}
          onClick={() => star(ticker)}
        >
          <Icon name="star" className={isStarred ? "on" : ""} />
        </button>
        <a className="cover" href={`#${ticker}`} aria-current={isHere ? "page" : undefined}>
          <b>{say.base(ticker)}</b>
          {status === "enabled" ? <small>{name}</small> : <small className="warn">{MODES[status]}</small>}
        </a>
        <Spark ticker={ticker} price={market.currentPrice} shade={tone(market.changePercent24h)} />
        {status === "enabled" && (
          <span className="quick">
            {(["long", "short"] as const).map((side) => (
              <button
                key={side}
                className={side}
                tabIndex={-1}
                data-testid={`market-${side}-${ticker}`}
                aria-label={`${side === "long" ? "Long" : "Short"} ${say.base(ticker)}`}
                title={side === "long" ? "Long" : "Short"}
                onClick={() => pickIn(ticker, side)}
              >
                <Tri isDown={side === "short"} />
              </button>
            ))}
          </span>
        )}
        <span className="num">
          <b>
            <Fading>{say.price(market.currentPrice, market.tickSize)}</Fading>
          </b>
          <small>
            <FigureOf market={market} figure={figure} />
          </small>
        </span>
      </div>
    );
  },
  (a, b) => a.market === b.market && a.figure === b.figure && a.isHere === b.isHere && a.isStarred === b.isStarred,
);

const SPARK_FEW = 6;
const SPARK_MS = 1_000;
const NO_CLOSES: readonly number[] = [];
const HALF_HOUR_MS = 1_800_000;

/** Closes of the last day; of a market that is younger, of its last minutes. */
function useCloses(ticker: string): readonly number[] {
  const { venue } = useTab();
  const { data } = useQuery({
    queryKey: ["spark", ticker],
    refetchInterval: HALF_HOUR_MS,
    queryFn: async () => {
      const ask = async (interval: "15m" | "1m", limit: number) => {
        const params = { path: { ticker }, query: { interval, limit } };
        const page = await body(venue.GET("/api/markets/perps/{ticker}/candles", { params }));
        return page.candles.map((candle) => Number((candle as unknown as string[])[4]));
      };
      const day = await ask("15m", 96);
      return day.length < SPARK_FEW ? ask("1m", 90) : day;
    },
  });
  return data ?? NO_CLOSES;
}

type SparkProps = { ticker: string; price: string; shade: "up" | "down" | "faint" };

/** Drawn anew once a second: that is more often than one sees it move. */
const Spark = memo(function Spark({ ticker, price, shade }: SparkProps) {
  const past = useCloses(ticker);
  const last = useEvery(SPARK_MS, price);
  const points = useMemo(() => pointsOf([...past, Number(last)]), [past, last]);
  if (points === null) return <span className="spark" aria-hidden="true" />;
  return (
    <svg className={`spark ${shade}`} viewBox="0 0 56 24" preserveAspectRatio="none" aria-hidden="true">
      <path d={points} />
    </svg>
  );
});

function pointsOf(closes: readonly number[]): string | null {
  const [low, high] = [Math.min(...closes), Math.max(...closes)];
  if (closes.length < 3 || low === high) return null;
  const points = closes.map((close, at) => {
    const [x, y] = [(at / (closes.length - 1)) * 56, 22 - ((close - low) / (high - low)) * 20];
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${points.join("L")}`;
}
