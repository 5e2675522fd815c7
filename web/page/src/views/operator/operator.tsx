import { useEffect, useState } from "react";
import type { Market, MarketStats, Ready, Stats } from "../../api/venue";
import { useHolder, useMarkets } from "../../hooks";
import { cushionOf, useOperate, useReady, useStats } from "../../hooks/useOperator";
import { sign } from "../../live/money";
import * as say from "../../words/numbers";
import { plainly } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Acts, type Act } from "./sheets";
import { PostPrice } from "./price";
import { Users } from "./users";
import { Icon, Tri, vars } from "../frame/parts";

/** A cushion below this share of what the house could pay is little. */
const LITTLE = 0.2;

/** What whoever runs the venue sees and does. */
export default function Operator() {
  const holder = useHolder();
  const { show } = useDesk();
  const [act, setAct] = useState<Act | null>(null);
  useEffect(() => {
    document.title = "Operator · perps";
  }, []);
  const stats = useStats();
  if (holder?.isOperator !== true || stats.refusal !== null)
    return (
      <main className="doc desk" id="main" tabIndex={-1}>
        <h1 className="vh">Operator</h1>
        <section className="panel empty all">
          <b>{stats.refusal ? plainly(stats.refusal) : "Only a key with the scope admin sees this"}</b>
          <button className="btn primary" onClick={() => show({ name: "signin" })}>
            Sign in with another key
          </button>
        </section>
      </main>
    );
  return (
    <main className="doc desk" id="main" tabIndex={-1}>
      <h1 className="vh">Operator</h1>
      <section className="panel all" aria-label="The venue in numbers">
        {stats.data && <Books stats={stats.data} />}
      </section>
      <section className="panel" aria-labelledby="h-operator-markets">
        <Markets stats={stats.data} act={setAct} />
        <Users act={setAct} />
      </section>
      <aside className="panel" aria-label="Problems and prices">
        <Problems stats={stats.data} act={setAct} />
        <PostPrice />
      </aside>
      {act && <Acts act={act} onClose={() => setAct(null)} />}
    </main>
  );
}

function Books({ stats }: { stats: Stats }) {
  const { accounts } = stats;
  const isRight = sign(accounts.total) === 0;
  return (
    <div className={isRight ? "totals ages" : "totals ages warn"}>
      <dl className="main">
        <dt>Books sum to</dt>
        <dd data-testid="books">
          {say.money(accounts.total)}{" "}
          <small className={isRight ? "muted" : "warn"}>
            {isRight ? "every coin is somewhere" : "they must sum to 0"}
          </small>
        </dd>
      </dl>
      {(
        [
          ["Wallets", accounts.wallets],
          ["In margin", accounts.margin],
          ["Houses", accounts.house],
          ["Insurance", accounts.insurance],
          ["Fees taken", accounts.fees],
          ["Paid in, net", String(-Number(accounts.world))],
        ] as const
      ).map(([name, value]) => (
        <dl key={name}>
          <dt>{name}</dt>
          <dd>{say.money(value)}</dd>
        </dl>
      ))}
    </div>
  );
}

export type WithActs = { act: (act: Act) => void };

function Markets({ stats, act }: WithActs & { stats: Stats | null }) {
  const markets = useMarkets();
  const known = new Map(stats?.markets.map((one) => [one.ticker, one]));
  return (
    <>
      <div className="head tall">
        <h2 id="h-operator-markets">Markets</h2>
        <button className="btn" data-testid="list-market" onClick={() => act({ name: "list" })}>
          <Icon name="plus" />
          List a market
        </button>
      </div>
      <div className="over ages" role="region" tabIndex={0} aria-label="Table of markets">
        <table className="t">
          <thead>
            <tr>
              <th>Market</th>
              <th className="num">Index</th>
              <th className="num">Positions</th>
              <th>Skew, of its cap</th>
              <th className="num">House</th>
              <th className="num">
                <abbr className="term" title="What the house would pay if everybody left now.">
                  Liability
                </abbr>
              </th>
              <th>Cushion left</th>
              <th className="num">Insurance</th>
              <th>Mode</th>
              <th>
                <span className="vh">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {(markets ?? []).map((market) => (
              <Row key={market.ticker} market={market} stats={known.get(market.ticker)} act={act} />
            ))}
          </tbody>
        </table>
        {markets?.length === 0 && (
          <div className="empty">
            <b>No markets yet</b>
            <span>List the first one.</span>
          </div>
        )}
      </div>
    </>
  );
}

function Row({ market, stats, act }: WithActs & { market: Market; stats: MarketStats | undefined }) {
  const { ticker, tickSize } = market;
  const skew = Number(market.skew) * Number(market.markPrice);
  const lean = Number(market.maxSkew) === 0 ? 0 : Number(market.skew) / Number(market.maxSkew);
  const half = Math.min(1, Math.abs(lean)) * 50;
  const cushion = stats && cushionOf(stats);
  const isLittle = cushion !== undefined && cushion.share < LITTLE;
  const house = Number(stats?.house ?? 0) + 1;
  return (
    <tr data-testid={`operator-${ticker}`}>
      <td>
        <b>{say.base(ticker)}</b>
        <small>{market.name}</small>
      </td>
      <td className="num">
        {say.price(market.indexPrice, tickSize)}
        <small title={say.moment(market.priceAt)}>
          {market.heldPrice ? <span className="warn">one waits</span> : say.time(market.priceAt)}
        </small>
      </td>
      <td className="num">{stats?.positions ?? "–"}</td>
      <td>
        <div className="dist lean">
          <span className={skew > 0 ? "up" : skew < 0 ? "down" : "faint"}>
            {skew === 0 ? (
              "even"
            ) : (
              <span>
                <Tri isDown={skew < 0} />
                {say.compact(Math.abs(skew))} {skew > 0 ? "long" : "short"}
              </span>
            )}
          </span>
          <span className="gauge" style={vars({ "--from": `${lean < 0 ? 50 - half : 50}%`, "--v": `${half}%` })}>
            <i />
          </span>
        </div>
      </td>
      <td className="num">{stats ? say.money(stats.house) : "–"}</td>
      <td className="num">{stats ? say.money(stats.houseLiability) : "–"}</td>
      <td>
        {cushion && (
          <div className="cushion">
            <span>
              <b className={isLittle ? "warn" : ""}>{say.compact(cushion.left)}</b>
              <span className="faint">
                {cushion.left > house * 1_000 ? "on credit" : say.percent(cushion.share, 0)}
              </span>
            </span>
            <span
              className={isLittle ? "gauge near plain" : "gauge plain"}
              style={vars({ "--v": `${cushion.share * 100}%` })}
            >
              <i />
            </span>
          </div>
        )}
      </td>
      <td className="num">{stats ? say.money(stats.insurance) : "–"}</td>
      <td>
        <Mode market={market} />
      </td>
      <td>
        <span className="acts">
          <button className="btn quiet" onClick={() => act({ name: "change", ticker })} aria-label={`Change ${ticker}`}>
            Change
          </button>
          <button className="btn" onClick={() => act({ name: "fund", ticker })} aria-label={`Fund ${ticker}`}>
            Fund
          </button>
          {market.status === "halted" && (
            <button className="btn" onClick={() => act({ name: "settle", ticker })} aria-label={`Settle ${ticker}`}>
              Settle
            </button>
          )}
        </span>
      </td>
    </tr>
  );
}

const MODES = { enabled: "Enabled", reduce_only: "Reduce only", halted: "Halted" } as const;

function Mode({ market: { ticker, status } }: { market: Market }) {
  const { run, isPending } = useOperate("mode");
  const { say: tell } = useDesk();
  const set = async (mode: keyof typeof MODES) => {
    const verdict = await run(ticker, mode);
    if (verdict.phase === "refused") tell({ kind: "note", title: "Mode not changed", text: plainly(verdict.refusal) });
  };
  const isKnown = status in MODES;
  return (
    <label className="choose">
      <span className="vh">Mode of {ticker}</span>
      <select
        className={status === "enabled" ? "" : "warn"}
        value={status}
        disabled={isPending}
        data-testid={`mode-${ticker}`}
        onChange={(event) => void set(event.target.value as keyof typeof MODES)}
      >
        {!isKnown && <option value={status}>{status}</option>}
        {Object.entries(MODES).map(([mode, title]) => (
          <option key={mode} value={mode}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

function Problems({ stats, act }: WithActs & { stats: Stats | null }) {
  const { data } = useReady();
  const found = problemsOf(data, stats);
  return (
    <section aria-labelledby="h-problems">
      <div className="head tall">
        <h2 id="h-problems">
          Problems <span className="faint">{found.length}</span>
        </h2>
        {data && (
          <span className="conn" data-is={data.status === "ready" ? undefined : "late"} data-testid="ready">
            <i className="dot" />
            {data.status === "ready" ? "Ready" : "Not ready"}
          </span>
        )}
      </div>
      {found.map(({ part, text, since, isMarket }) => (
        <div className="alert" key={`${part} ${text}`}>
          <Icon name="note" className="warn" />
          <b>{part}</b>
          {isMarket ? (
            <button className="btn" onClick={() => act({ name: "fund", ticker: part })} aria-label={`Fund ${part} now`}>
              Fund
            </button>
          ) : (
            <span />
          )}
          <p>
            {text}
            {since && `, since ${say.time(since)}`}
          </p>
        </div>
      ))}
      {data && found.length === 0 && <p className="under pad">Every part takes commands.</p>}
    </section>
  );
}

type Problem = { part: string; text: string; since: string | undefined; isMarket: boolean };

function problemsOf(ready: Ready | null, stats: Stats | null): Problem[] {
  if (ready === null) return [];
  const tickers = new Set(stats?.markets.map(({ ticker }) => ticker));
  return [...Object.entries(ready.problems), ...Object.entries(ready.warnings ?? {})].map(([part, text]) => ({
    part,
    text,
    since: ready.since[part],
    isMarket: tickers.has(part),
  }));
}
