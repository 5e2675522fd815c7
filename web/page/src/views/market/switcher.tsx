import { useState } from "react";
import * as say from "../../words/numbers";
import { useDesk } from "../frame/desk";
import { Change, MODES, openInterest, useSorted } from "./markets";
import { Icon } from "../frame/parts";
import { Sheet } from "../frame/sheet";

/** All markets, and one found by a few letters. */
export function Switcher() {
  const { show, ticker: here } = useDesk();
  const { markets } = useSorted();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const wanted = text.trim().toLowerCase();
  const found = (markets ?? []).filter(({ ticker, name }) => `${ticker} ${name}`.toLowerCase().includes(wanted));
  const go = (ticker: string | undefined) => {
    if (ticker === undefined) return;
    location.hash = ticker;
    show(null);
  };
  return (
    <Sheet label="Markets" isWide onClose={() => show(null)}>
      <div className="head search">
        <div className="field">
          <Icon name="find" className="faint" />
          <input
            className="left"
            aria-label="Find a market"
            placeholder="Name or ticker"
            value={text}
            autoFocus
            onChange={(event) => (setText(event.target.value), setAt(0))}
            onKeyDown={(event) => {
              if (event.key === "ArrowDown") setAt(Math.min(at + 1, found.length - 1));
              else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
              else if (event.key === "Enter") go(found[at]?.ticker);
              else return;
              event.preventDefault();
            }}
          />
          <kbd>Esc</kbd>
        </div>
      </div>
      <div className="over ages" role="region" tabIndex={0} aria-label="All markets">
        <table className="t">
          <thead>
            <tr>
              <th>Market</th>
              <th className="num">Price</th>
              <th className="num">24 h</th>
              <th className="num opt">Volume 24 h</th>
              <th className="num opt">Open interest</th>
              <th className="num opt">Funding, per hour</th>
            </tr>
          </thead>
          <tbody>
            {found.map((market, row) => (
              <tr key={market.ticker} className={row === at ? "me" : ""} onClick={() => go(market.ticker)}>
                <td>
                  <a
                    href={`#${market.ticker}`}
                    onClick={() => show(null)}
                    aria-current={market.ticker === here || undefined}
                  >
                    <b>{market.ticker}</b>
                    <small>
                      {market.name}
                      {market.status !== "enabled" && <span className="warn"> · {MODES[market.status]}</span>}
                    </small>
                  </a>
                </td>
                <td className="num">{say.price(market.currentPrice, market.tickSize)}</td>
                <td className="num">
                  <Change market={market} />
                </td>
                <td className="num opt">{say.compact(market.volume24h)}</td>
                <td className="num opt">{say.compact(openInterest(market))}</td>
                <td className="num opt">{say.percent(Number(market.fundingRate.rate), 4, { isSigned: true })}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {found.length === 0 && <p className="empty">No market is called ‘{text}’.</p>}
      </div>
    </Sheet>
  );
}
