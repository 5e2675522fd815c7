import { useEffect } from "react";
import type { Market } from "../../api/venue";
import { useKnown, useNow } from "../../hooks";
import { fundingAt } from "../../live/money";
import * as say from "../../words/numbers";
import { useDesk } from "../frame/desk";
import { MODES } from "./markets";
import { Fading, Icon, Tri, tone } from "../frame/parts";

const HOUR_S = 3600;
/** What is shown as 0.0000 %. */
const LEAST = 0.000_000_5;

/** Which market, what it costs, and what decides margin, liquidation and funding. */
export function MarketHead({ market }: { market: Market }) {
  const { show } = useDesk();
  const { ticker, name, tickSize, currentPrice, change24h, changePercent24h } = market;
  const shade = tone(change24h);
  const shown = say.price(currentPrice, tickSize);
  useEffect(() => {
    document.title = `${shown} · ${say.base(ticker)} · perps`;
  }, [shown, ticker]);
  return (
    <div className="mhead">
      <button className="switch" aria-haspopup="dialog" onClick={() => show({ name: "switcher" })}>
        <span>
          <b>{ticker}</b>
          <small>
            {name} ·{" "}
            {market.status === "enabled" ? (
              market.heldPrice === null ? (
                `up to ${market.maxLeverage}×`
              ) : (
                <span className="warn">price unconfirmed</span>
              )
            ) : (
              <span className="warn">{MODES[market.status]}</span>
            )}
          </small>
          <span className="vh">Change market</span>
        </span>
        <Icon name="down" />
      </button>
      <div className="price ages">
        <b data-testid="price" data-value={currentPrice}>
          <Fading>{shown}</Fading>
        </b>
        {market.heldPrice !== null && <span className="warn vh">unconfirmed</span>}
        <span className={shade}>
          {shade !== "faint" && <Tri isDown={shade === "down"} />}
          {say.price(change24h, tickSize).replace(/^(?!−)/, Number(change24h) > 0 ? "+" : "")} (
          {say.percent(Math.abs(Number(changePercent24h)) / 100)})
        </span>
      </div>
      <dl className="facts ages">
        <Fact title="Decides margin and liquidation." name="Mark">
          {say.price(market.markPrice, tickSize)}
        </Fact>
        <Fact title="The price from outside, before trading here moves it." name="Index">
          {say.price(market.indexPrice, tickSize)}
        </Fact>
        {Number(market.maxFundingRate) > 0 && <Funding market={market} />}
        <div className="opt">
          <dt>Volume 24 h</dt>
          <dd>{say.compact(market.volume24h)}</dd>
        </div>
      </dl>
    </div>
  );
}

function Fact({ title, name, children }: { title: string; name: string; children: string }) {
  return (
    <div>
      <dt>
        <abbr className="term" title={title}>
          {name}
        </abbr>
      </dt>
      <dd>{children}</dd>
    </div>
  );
}

function Funding({ market }: { market: Market }) {
  const now = useNow(1_000) / 1_000;
  const begun = useKnown((known) => known.state.resets);
  const since = useSince(begun);
  const rate = fundingAt(market, (now - since) / HOUR_S);
  const payer = Math.abs(rate) < LEAST ? "" : rate > 0 ? "longs pay" : "shorts pay";
  return (
    <div>
      <dt>
        <abbr className="term" title="The crowded side pays the other, a little every second. Shown per hour.">
          Funding
        </abbr>{" "}
        in {say.span(HOUR_S - (now % HOUR_S))}
      </dt>
      <dd>
        {say.percent(Math.abs(rate), 4)} <span className="muted">{payer}</span>
      </dd>
    </div>
  );
}

const begins = new Map<number, number>();
/** When the rates were told that are shown, in seconds. */
function useSince(resets: number): number {
  const found = begins.get(resets) ?? Date.now() / 1_000;
  begins.set(resets, found);
  return found;
}
