import { type FormEvent, useState } from "react";
import type { Market } from "../../api/venue";
import { useMarket, useTickers } from "../../hooks";
import { movedBy, useOperate } from "../../hooks/useOperator";
import { decimal, onTick } from "../../live/money";
import * as say from "../../words/numbers";
import { plainly } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Icon, Tri } from "../frame/parts";

/** Post a price, with what happened. */
export function PostPrice() {
  const tickers = useTickers();
  const { ticker: here } = useDesk();
  const [chosen, choose] = useState<string | null>(null);
  const ticker = chosen ?? (tickers?.includes(here) ? here : tickers?.[0]) ?? "";
  const market = useMarket(ticker);
  return (
    <section aria-labelledby="h-post" className="post">
      <div className="head tall">
        <h2 id="h-post">Post a price or a story</h2>
      </div>
      {market && tickers && <PriceForm market={market} tickers={tickers} choose={choose} />}
    </section>
  );
}

type Props = { market: Market; tickers: readonly string[]; choose: (ticker: string) => void };

/** The price that is asked for; null: none is typed. */
function asked(market: Market, isMove: boolean, text: string): string | null {
  if (!isMove) return decimal(text);
  const sign = /^\s*[-−]/.test(text) ? -1 : 1;
  const percent = decimal(text.replace(/^\s*[-−+]/, ""));
  return percent === null || Number(percent) === 0
    ? null
    : onTick(movedBy(market, sign * Number(percent)), market.tickSize);
}

function PriceForm({ market, tickers, choose }: Props) {
  const { say: tell } = useDesk();
  const { run, refusal, isPending, isLost, reset } = useOperate("price");
  const [isMove, setMove] = useState(true);
  const [text, setText] = useState("");
  const [reason, setReason] = useState("");
  const to = asked(market, isMove, text);
  const name = say.base(market.ticker);
  const change = to === null ? 0 : Number(to) / Number(market.indexPrice) - 1;
  const isFar = market.priceBand !== null && Math.abs(change) > Number(market.priceBand);
  const price = (value: string) => say.price(value, market.tickSize);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (to === null || isPending) return;
    const verdict = await run({ ticker: market.ticker, price: to, reason: reason.trim() || null });
    if (verdict.phase !== "done") return;
    const { liquidations, market: now } = verdict.answer;
    const title = now.heldPrice
      ? `${name}: ${price(to)} waits to be confirmed`
      : `${name} is at ${price(now.indexPrice)}`;
    tell({ kind: now.heldPrice ? "note" : "done", title, text: `${liquidations} positions liquidated.` });
    if (!now.heldPrice) setText("");
  };
  const change_ = (set: () => void) => (reset(), set());
  return (
    <form className="form" onSubmit={submit} noValidate>
      <div className="field">
        <label htmlFor="post-market">Market</label>
        <select id="post-market" value={market.ticker} onChange={(event) => change_(() => choose(event.target.value))}>
          {tickers.map((ticker) => (
            <option key={ticker}>{ticker}</option>
          ))}
        </select>
        <Icon name="down" />
      </div>
      <div className="seg" role="group" aria-label="How the price moves">
        {([true, false] as const).map((moves) => (
          <button
            key={String(moves)}
            type="button"
            aria-pressed={isMove === moves}
            onClick={() => change_(() => (setMove(moves), setText("")))}
          >
            {moves ? "Move by" : "Set to"}
          </button>
        ))}
      </div>
      <div className="field" data-bad={refusal !== null || undefined}>
        <label htmlFor="post-price">{isMove ? "Change" : "Price"}</label>
        <input
          id="post-price"
          data-testid="post-price"
          inputMode={isMove ? "text" : "decimal"}
          autoComplete="off"
          value={text}
          disabled={isPending}
          onChange={(event) => change_(() => setText(event.target.value))}
        />
        <span className="unit">{isMove ? "%" : "USD"}</span>
      </div>
      <div>
        <label htmlFor="post-reason" className="muted">
          Story <span className="faint">shown beside the chart</span>
        </label>
        <textarea
          id="post-reason"
          data-testid="post-reason"
          maxLength={200}
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
      </div>
      <dl className="preview">
        <div>
          <dt>Index</dt>
          <dd>
            <span>{price(market.indexPrice)} →</span> {to === null ? "–" : price(to)}{" "}
            {change !== 0 && (
              <span className={change < 0 ? "down" : "up"}>
                <Tri isDown={change < 0} />
                {say.percent(change, 1, { isSigned: true })}
              </span>
            )}
          </dd>
        </div>
        {market.priceBand !== null && (
          <div>
            <dt>
              <abbr className="term" title="A price further away must be posted several times before it is believed.">
                Band
              </abbr>
            </dt>
            <dd className={isFar ? "warn" : ""}>
              {isFar
                ? `beyond ${say.percent(Number(market.priceBand), 0)}: post it ${market.priceConfirmations} times`
                : `within ${say.percent(Number(market.priceBand), 0)}, taken at once`}
            </dd>
          </div>
        )}
      </dl>
      {(refusal || isLost) && (
        <p className="note bad" role="alert">
          <Icon name="note" />
          <span>{refusal ? plainly(refusal, market) : "No answer. Look at the index before you post it again."}</span>
        </p>
      )}
      <button className="btn big primary" data-testid="post-submit" aria-disabled={to === null || isPending}>
        {isPending ? "Sending…" : to === null ? "Type a price" : `Move ${name} to ${price(to)}`}
      </button>
      <p className="under">
        A price cannot be taken back; post another. It liquidates in the same row, before anyone trades.
      </p>
    </form>
  );
}
