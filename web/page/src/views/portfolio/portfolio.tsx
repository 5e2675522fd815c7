import { useEffect, useState } from "react";
import { useOrders, useSession, useUserPositions, useWalletBalance } from "../../hooks";
import { type Window, useEquity, useLeaderboard } from "../../hooks/useHistory";
import { gained } from "../../live/equity";
import { minus, sum } from "../../live/money";
import * as say from "../../words/numbers";
import { EquityCurve } from "./curve";
import { useDesk } from "../frame/desk";
import { Past } from "./history";
import { OrdersTable } from "../frame/later";
import { Gain, Tabs, Tri, paid, tone } from "../frame/parts";

const WINDOWS = [
  ["24h", "24 h"],
  ["7d", "7 d"],
  ["all", "All"],
] as const satisfies readonly (readonly [Window, string])[];

/** What one has, had and did; and how others do, where the venue shows it. */
export default function Portfolio() {
  const session = useSession();
  const { show } = useDesk();
  useEffect(() => {
    document.title = "Portfolio · perps";
  }, []);
  if (session === null)
    return (
      <main className="doc" id="main" tabIndex={-1}>
        <h1 className="vh">Portfolio</h1>
        <section className="panel empty all">
          <b>Your portfolio will be here</b>
          <button className="btn primary" onClick={() => show({ name: "signin" })}>
            Sign in
          </button>
        </section>
      </main>
    );
  return (
    <main className="doc folio" id="main" tabIndex={-1}>
      <h1 className="vh">Portfolio of {session.userId}</h1>
      <Worth />
      <Leaders userId={session.userId} />
      <Waiting />
      <Past />
    </main>
  );
}

/** Orders that wait. */
function Waiting() {
  const orders = useOrders();
  if (orders === null || orders.length === 0) return null;
  return (
    <div className="panel book">
      <div className="over">
        <OrdersTable orders={orders} />
      </div>
    </div>
  );
}

function Windows({ now, onPick }: { now: Window; onPick: (window: Window) => void }) {
  return (
    <div className="seg" role="group" aria-label="Range">
      {WINDOWS.map(([name, title]) => (
        <button key={name} aria-pressed={name === now} onClick={() => onPick(name)}>
          {title}
        </button>
      ))}
    </div>
  );
}

function Worth() {
  const wallet = useWalletBalance();
  const positions = useUserPositions();
  const [window_, setWindow] = useState<Window>("7d");
  const [shown, setShown] = useState<"equity" | "pnl">("equity");
  const { points } = useEquity(window_);
  const gain = gained(points);
  const pnl = points.map((one) => ({ at: one.at, equity: minus(one.equity, one.paidIn), paidIn: "0" }));
  const funding = sum("0", ...(positions ?? []).map((position) => position.fundingPaid));
  return (
    <section className="panel" aria-labelledby="h-equity">
      {wallet && (
        <div className="totals ages">
          <dl className="main">
            <dt id="h-equity">Equity</dt>
            <dd data-testid="portfolio-equity" data-value={wallet.equity}>
              {say.money(wallet.equity)}{" "}
              {points.length > 1 && (
                <small className={tone(gain)}>
                  {tone(gain) !== "faint" && <Tri isDown={tone(gain) === "down"} />}
                  {say.money(gain, { isSigned: true })} in{" "}
                  {WINDOWS.find(([name]) => name === window_)![1].toLowerCase()}
                </small>
              )}
            </dd>
          </dl>
          <Total name="Available">{say.spendable(wallet.available)}</Total>
          <Total name="In margin">{say.money(wallet.margin)}</Total>
          <Total name="Unrealised">
            <Gain value={wallet.unrealized} />
          </Total>
          <Total name="Lifetime PnL" title="What all your closed positions have gained or lost, before fees.">
            <Gain value={wallet.lifetimePnL} id="portfolio-lifetime" />
          </Total>
          <Total name="Fees so far">{say.money(wallet.totalFees)}</Total>
          <Total name="Funding, open" title="What your open positions have got or paid in funding.">
            {paid(funding)}
          </Total>
        </div>
      )}
      <div className="head">
        <Tabs
          label="What the curve shows"
          now={shown}
          onPick={setShown}
          all={[
            { name: "equity", title: "Equity" },
            { name: "pnl", title: "PnL" },
          ]}
        />
        <Windows now={window_} onPick={setWindow} />
      </div>
      <EquityCurve points={shown === "equity" ? points : pnl} name={shown === "equity" ? "Equity" : "PnL"} />
    </section>
  );
}

function Total({ name, title, children }: { name: string; title?: string; children: React.ReactNode }) {
  return (
    <dl>
      <dt>
        {title ? (
          <abbr className="term" title={title}>
            {name}
          </abbr>
        ) : (
          name
        )}
      </dt>
      <dd>{children}</dd>
    </dl>
  );
}

const RANKS = { lifetimePnL: "By PnL", equity: "By gain", volume: "By volume" } as const;
type Rank = keyof typeof RANKS;

function Leaders({ userId }: { userId: string }) {
  const [window_, setWindow] = useState<Window>("7d");
  const [by, setBy] = useState<Rank>("equity");
  const board = useLeaderboard(by, window_);
  if (board === null) return null;
  return (
    <section className="panel leaders" aria-labelledby="h-leaders" data-testid="leaderboard">
      <div className="head tall">
        <h2 id="h-leaders">Leaderboard</h2>
        <label className="choose faint s">
          <span className="vh">Ranked</span>
          <select value={by} onChange={(event) => setBy(event.target.value as Rank)}>
            {Object.entries(RANKS).map(([name, title]) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <Windows now={window_} onPick={setWindow} />
      </div>
      <div className="over" role="region" tabIndex={0} aria-label="Traders by rank">
        <table className="t thin">
          <thead>
            <tr>
              <th>
                <span className="vh">Rank</span>
              </th>
              <th>Trader</th>
              <th className="num">{by === "volume" ? "Volume" : by === "equity" ? "Gain" : "PnL before fees"}</th>
              <th className="num">Equity</th>
            </tr>
          </thead>
          <tbody>
            {board.leaders.map((one) => (
              <tr key={one.userId} className={one.userId === userId ? "me" : ""}>
                <td className="rank">{one.rank}</td>
                <td>
                  <b>{one.userId}</b> {one.userId === userId && <span className="tag mine">you</span>}
                </td>
                <td className="num">
                  {by === "volume" ? (
                    say.compact(one.volume)
                  ) : (
                    <Gain value={by === "equity" ? one.gain : one.realizedPnL} />
                  )}
                </td>
                <td className="num faint">{say.money(one.equity)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="under pad">
        {by === "equity" ? "What equity has gained, without what was paid in or out." : "Before fees."} As of{" "}
        {say.time(board.at)}.
      </p>
    </section>
  );
}
