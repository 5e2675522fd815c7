import { useState } from "react";
import type { Market, Side } from "../../api/venue";
import type { Preview } from "../../hooks";
import * as say from "../../words/numbers";
import type { Words } from "../../words/refusals";
import { vars } from "../frame/parts";
import type { Draft } from "./draft";
import { Bad } from "./exits";

const SLIPPAGES = ["10", "50", "100", "300", ""] as const;

export const LIQUIDATED = "If the mark price gets here, the venue closes the position and its margin is used up.";

type LeverageProps = {
  id?: string;
  market: Market;
  leverage: number;
  onPick: (leverage: number) => void;
  isLocked: boolean;
  isBad: boolean;
};

export function Leverage({ id = "leverage", market, leverage, onPick, isLocked, isBad }: LeverageProps) {
  const most = market.maxLeverage;
  const [text, setText] = useState<string | null>(null);
  const at = (value: number) => (most === 1 ? 0 : ((value - 1) / (most - 1)) * 100);
  const pick = (value: number) => Number.isFinite(value) && onPick(Math.min(most, Math.max(1, Math.round(value))));
  return (
    <div>
      <div className="row">
        <label htmlFor={id} className="muted">
          <abbr
            className="term"
            title="How many times the margin the position is. The more, the nearer its liquidation."
          >
            Leverage
          </abbr>
        </label>
        <span className="field mini" data-bad={isBad || undefined}>
          <input
            id={id}
            data-testid={id === "leverage" ? "ticket-leverage" : id}
            inputMode="numeric"
            autoComplete="off"
            value={text ?? leverage}
            disabled={isLocked}
            onFocus={(event) => event.target.select()}
            onChange={(event) => {
              setText(event.target.value);
              if (/^\d+$/.test(event.target.value)) pick(Number(event.target.value));
            }}
            onBlur={() => setText(null)}
          />
          <span className="unit">×</span>
        </span>
      </div>
      {most > 1 && (
        <div className="slider" style={vars({ "--at": `${at(leverage)}%` })}>
          <input
            type="range"
            aria-label="Leverage"
            aria-valuetext={`${leverage} times`}
            min={1}
            max={most}
            value={leverage}
            disabled={isLocked}
            onChange={(event) => (setText(null), pick(Number(event.target.value)))}
          />
          <i />
          {[0, 25, 50, 75, 100].map((x) => (
            <u key={x} style={vars({ "--x": `${x}%` })} />
          ))}
          <b />
        </div>
      )}
    </div>
  );
}

type OfDraft = { market: Market; draft: Draft; words: Words | null; isLocked: boolean };

/** The leverage of a ticket, and what is wrong with it. */
export function LeverageOf({ market, draft, words, isLocked }: OfDraft) {
  const isBad = words?.field === "leverage";
  return (
    <>
      <Leverage market={market} leverage={draft.leverage} onPick={draft.setLeverage} {...{ isLocked, isBad }} />
      {isBad && <Bad words={words} onUse={draft.use} />}
    </>
  );
}

type Worst = { side: Side; slippage: string; setSlippage: (bps: string) => void };
type NumbersProps = { market: Market; preview: Preview; order: Worst; isLocked: boolean };

/** What the venue says that the order would do. While the next answer is on its way, the old one stays, in grey. */
export function Numbers({ market, preview: { quote, isOld }, order, isLocked }: NumbersProps) {
  const mark = Number(market.markPrice);
  const dash = "–";
  const away = quote === null ? null : Math.abs(mark - Number(quote.liquidationPrice)) / mark;
  const isNever = quote !== null && Number(quote.liquidationPrice) === 0;
  const rate = Number(market.fundingRate.rate) * (order.side === "long" ? -1 : 1);
  const daily = quote === null ? 0 : 24 * rate * Number(quote.fill.notional);
  return (
    <dl className={isOld ? "preview ages old" : "preview ages"} data-testid="ticket-preview" data-old={isOld}>
      <div>
        <dt>Fill</dt>
        <dd>
          {quote ? say.price(quote.fill.price, market.tickSize) : dash}{" "}
          {quote && <span>impact {say.percent(Number(quote.fill.priceImpact))}</span>}
        </dd>
      </div>
      <div>
        <dt>Margin</dt>
        <dd>{quote ? say.money(quote.marginRequired) : dash}</dd>
      </div>
      <div>
        <dt>
          Fee <span className="faint">{say.percent(Number(market.takerFee), 2)}</span>
        </dt>
        <dd>{quote ? say.money(quote.fee.amount) : dash}</dd>
      </div>
      {Number(market.maxFundingRate) > 0 && (
        <div>
          <dt>
            <abbr className="term" title="At the present rate. It changes as people trade.">
              Funding a day
            </abbr>
          </dt>
          <dd>
            {quote ? say.money(daily, { isSigned: true }) : dash}{" "}
            {Math.abs(daily) >= 0.005 && <span>{daily < 0 ? "you pay" : "you get"}</span>}
          </dd>
        </div>
      )}
      <div>
        <dt>
          <label htmlFor="slippage">
            <abbr className="term" title="A price worse than this is refused, and nothing is spent.">
              Worst price
            </abbr>
          </label>
        </dt>
        <dd>
          <select
            id="slippage"
            className="link"
            value={order.slippage}
            disabled={isLocked}
            onChange={(event) => order.setSlippage(event.target.value)}
          >
            {SLIPPAGES.map((bps) => (
              <option key={bps} value={bps}>
                {bps === "" ? "any price" : `${Number(bps) / 100} % worse`}
              </option>
            ))}
          </select>
        </dd>
      </div>
      <div className="liqrow">
        <dt>
          <abbr className="term" title={LIQUIDATED}>
            Liquidation
          </abbr>
        </dt>
        <dd className="warn">
          {quote === null ? dash : isNever ? "never" : say.price(quote.liquidationPrice, market.tickSize)}{" "}
          {away !== null && !isNever && <span>{say.percent(away, 1)} away</span>}
        </dd>
      </div>
    </dl>
  );
}
