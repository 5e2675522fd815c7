import { memo, useEffect, useRef, useState } from "react";
import type { Market, Trade } from "../../api/venue";
import { useNow, useTrades } from "../../hooks";
import * as say from "../../words/numbers";
import { Tri, vars } from "../frame/parts";

const WORDS = {
  open: "opened",
  close: "closed",
  liquidation: "liquidated",
  settlement: "settled",
  deleverage: "deleveraged",
} as const;
const HOUR_MS = 3_600_000;

/** Whether a trade buys: opening a long, or leaving a short. */
const buys = (trade: Trade): boolean => (trade.kind === "open") === (trade.side === "long");

function Split({ long, label, isThin = false }: { long: number; label: string; isThin?: boolean }) {
  return (
    <div
      className={isThin ? "split thin" : "split"}
      style={vars({ "--l": `${long * 100}%` })}
      role="img"
      aria-label={label}
    >
      <i className="l" />
      <i className="r" />
    </div>
  );
}

export function Flow({ market }: { market: Market }) {
  const mark = Number(market.markPrice);
  const [long, short] = [Number(market.openInterest.long) * mark, Number(market.openInterest.short) * mark];
  const most = Number(market.maxOpenInterest);
  const skew = Number(market.maxSkew);
  const room = (side: "long" | "short") => {
    const [own, lean] = [Number(market.openInterest[side]), Number(market.skew) * (side === "long" ? 1 : -1)];
    return Math.max(0, Math.min(most - own, skew - lean)) * mark;
  };
  const share = long + short === 0 ? 0.5 : long / (long + short);
  const whole = Math.round(share * 100);
  return (
    <div className="flow ages">
      <div className="ends">
        <span className="up">
          <Tri />
          Long <b>{say.compact(long)}</b>
        </span>
        <span className="down">
          <b>{say.compact(short)}</b> Short <Tri isDown />
        </span>
      </div>
      <Split long={share} label={`Open interest: ${whole} % long, ${100 - whole} % short`} />
      <div className="ends faint">
        <span>room for {say.compact(room("long"))} more</span>
        <span>{say.compact(room("short"))} more</span>
      </div>
    </div>
  );
}

const Line = memo(function Line({ trade, tickSize }: { trade: Trade; tickSize: string }) {
  return (
    <tr className={trade.kind === "liquidation" ? "liq" : ""}>
      <td className="faint" title={say.moment(trade.at)}>
        {say.time(trade.at)}
      </td>
      <td>
        <span className={trade.kind === "liquidation" ? "warn" : "muted"}>
          {trade.side === "long" ? "Long" : "Short"} {WORDS[trade.kind]}
        </span>
      </td>
      <td className={`num ${buys(trade) ? "up" : "down"}`}>
        <Tri isDown={!buys(trade)} />
        {say.price(trade.price, tickSize)}
      </td>
      <td className="num">{Math.round(Number(trade.size)).toLocaleString()}</td>
    </tr>
  );
});

/** Trades as they happen. They stop scrolling under the pointer. */
export const Tape = memo(function Tape({ ticker, tickSize }: { ticker: string; tickSize: string }) {
  const { trades } = useTrades(ticker);
  const now = useNow(10_000);
  const [isHeld, hold] = useState(false);
  const kept = useRef(trades);
  useEffect(() => {
    if (!isHeld) kept.current = trades;
  });
  const shown = (isHeld ? kept.current : trades).filter((trade) => trade.ticker === ticker).slice(0, 60);
  const hour = trades.filter((trade) => now - Date.parse(trade.at) < HOUR_MS);
  const [bought, sold] = [true, false].map((side) =>
    hour.filter((trade) => buys(trade) === side).reduce((sum, trade) => sum + Number(trade.size), 0),
  ) as [number, number];
  const net = bought - sold;
  return (
    <>
      <div className="head line">
        <h2>Trades</h2>
        {bought + sold > 0 && (
          <span className="faint s ages">
            last {hour.length}:{" "}
            <span className={net < 0 ? "down" : "up"}>
              {say.compact(Math.abs(net))} net {net < 0 ? "sold" : "bought"}
            </span>
          </span>
        )}
      </div>
      {bought + sold > 0 && (
        <div className="flow ages">
          <Split
            isThin
            long={bought / (bought + sold)}
            label={`The last ${hour.length} trades: ${Math.round((100 * bought) / (bought + sold))} % bought`}
          />
        </div>
      )}
      <div
        className="scroll ages"
        tabIndex={0}
        role="region"
        aria-label="Trades, newest first"
        onPointerEnter={() => hold(true)}
        onPointerLeave={() => hold(false)}
      >
        <table>
          <thead className="vh">
            <tr>
              <th>Time</th>
              <th>What</th>
              <th className="num">Price</th>
              <th className="num">Size, USD</th>
            </tr>
          </thead>
          <tbody>
            {shown.map((trade) => (
              <Line key={trade.id} trade={trade} tickSize={tickSize} />
            ))}
          </tbody>
        </table>
        {shown.length === 0 && <p className="empty">No trades here yet.</p>}
      </div>
    </>
  );
});
