import Big from "big.js";
import { type FormEvent, useEffect, useState } from "react";
import type { OrderBody, Placed } from "../../api/venue";
import { Refused } from "../../api/venue";
import { useConnection, usePlace, useSession } from "../../hooks";
import { type Decimal, decimal, isTooLate, liquidationAbout, reserveOf } from "../../live/money";
import * as say from "../../words/numbers";
import { SIDES, typeName, ofOrder, ofOwnExits, orderName, whyOf } from "../../words/orders";
import { type Words, affordable, shortOf } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Bad, ExitFields, NO_EXITS, TooLate, exitsOf } from "../ticket/exits";
import type { FormProps } from "../ticket/ticket";
import { Go, SizeField } from "../ticket/fields";
import { LIQUIDATED, LeverageOf } from "../ticket/numbers";
import { Expiry, PriceField, WorstPrice, expiresAt, firstPrice, wouldBeReached, worstOf } from "./fields";

type Props = FormProps & { readonly type: OrderBody["type"] };

/** The ticket of an order that waits for its price. */
export function OrderForm({ market, draft, wallet, type, onLock }: Props) {
  const session = useSession();
  const { isStale } = useConnection();
  const { say: tell, show, liftTicket } = useDesk();
  const { place, progress, isPending, reset } = usePlace();
  const { side, amount, leverage } = draft;
  const waits = { type, side };
  const [typed, setTyped] = useState<string | null>(null);
  const [first, setFirst] = useState(() => firstPrice(market, waits));
  const [hours, setHours] = useState("");
  const [worst, setWorst] = useState("");
  const text = typed ?? say.price(first, market.tickSize);
  const price = decimal(text);
  const exits = exitsOf(draft.exits);
  const isPriced = price !== null && Number(price) > 0;
  const isSized = amount !== null && Number(amount) > 0;
  const reserve = isSized ? reserveOf(amount, leverage, market.takerFee) : null;
  const asked = JSON.stringify([side, amount, leverage, price, hours, worst, exits]);
  useEffect(reset, [asked, reset]);
  useEffect(() => setFirst(firstPrice(market, waits)), [side]); // eslint-disable-line -- not with each price
  useEffect(() => onLock(isPending), [isPending, onLock]);

  const refusal =
    progress.phase === "refused"
      ? progress.refusal
      : (reachedAt(wouldBeReached(waits, price, market), price, market.markPrice) ??
        shortOf(reserve, wallet?.available));
  const words = refusal
    ? ofOrder(refusal, market, { ...waits, leverage })
    : exits && isPriced
      ? ofOwnExits({ ...waits, price }, exits, market)
      : null;
  const isRight = session !== null && isSized && isPriced && exits !== null && words === null;
  const isReady = isRight && !isStale && !isPending;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (session === null) return show({ name: "signin" });
    if (!isReady || !isSized || !isPriced) return;
    const until = expiresAt(hours);
    const order: OrderBody = {
      ticker: market.ticker,
      type,
      side,
      size: amount,
      leverage,
      price,
      ...exits,
      ...(until !== null && { expiresAt: until }),
      ...(type === "stop" && worst !== "" && { acceptablePrice: worstOf(price, waits, worst) }),
    };
    const verdict = await place(order);
    draft.remember();
    if (verdict.phase !== "done") return;
    tell(toastOf(verdict.answer, market));
    draft.setExits(NO_EXITS);
    liftTicket(false);
  };

  const most = wallet && affordable(wallet.available, leverage, market.takerFee);
  const isOfExits = words?.field === "takeProfit" || words?.field === "stopLoss";
  const end = isPriced ? liquidationAbout(market, side, price, leverage) : null;
  const gainAt = (at: string) => (isSized && isPriced ? gainOf(amount, price, at, side === "long") : null);
  const said = words
    ? words.button
    : !isPriced
      ? "Type a price"
      : exits === null
        ? "Check the prices"
        : !isSized
          ? "Type a size"
          : `${typeName(waits)} ${side} ${say.plain(amount)} at ${say.price(price, market.tickSize)}`;
  const isElsewhere =
    words !== null && (words.field === null || words.field === "slippage" || words.field === "expiresAt");
  const late = exits?.stopLoss !== undefined && isTooLate(side, exits.stopLoss, end);
  return (
    <form onSubmit={submit} aria-label={`${typeName(waits)} order, ${market.ticker}`} noValidate>
      <PriceField id="ticket-price" {...{ market, text, words }} order={waits} onType={setTyped} isLocked={isPending} />
      <SizeField {...{ market, draft, most, words }} at={isPriced ? price : market.currentPrice} isLocked={isPending} />
      <LeverageOf {...{ market, draft, words }} isLocked={isPending} />
      {session !== null && (
        <>
          <div>
            <ExitFields
              id="ticket"
              typed={draft.exits}
              onType={draft.setExits}
              isLocked={isPending}
              {...{ market, words, gainAt }}
            />
            {isOfExits && <Bad words={words} />}
            {late && <TooLate side={side} stop={exits.stopLoss} liquidation={end} market={market} />}
          </div>
          <dl className="preview ages" data-testid="ticket-preview">
            <div>
              <dt>
                <abbr
                  className="term"
                  title="Margin and fee of the whole order. It comes back if the order ends unfilled."
                >
                  Set aside
                </abbr>
              </dt>
              <dd>
                {reserve ? say.money(reserve) : "–"}{" "}
                {reserve && isSized && <span>fee {say.money(Big(amount).times(market.takerFee).toFixed())}</span>}
              </dd>
            </div>
            <Expiry id="ticket-expiry" value={hours} onPick={setHours} isLocked={isPending} />
            {type === "stop" && <WorstPrice id="ticket-worst" value={worst} onPick={setWorst} isLocked={isPending} />}
            <div className="liqrow">
              <dt>
                <abbr className="term" title={LIQUIDATED}>
                  Liquidation
                </abbr>
                , about
              </dt>
              <dd className="warn">{end ? say.price(end, market.tickSize) : "–"}</dd>
            </div>
          </dl>
        </>
      )}
      {isElsewhere && <Bad words={words as Words} />}
      <Go side={side} text={said} isReady={isReady} progress={progress.phase} />
      {isRight && wallet && reserve && (
        <p className="under middle">leaves {say.spendable(Big(wallet.available).minus(reserve).toFixed())} available</p>
      )}
    </form>
  );
}

function reachedAt(isReached: boolean, price: Decimal | null, markPrice: Decimal): Refused | null {
  return isReached ? new Refused("order_would_trigger", "", { price, markPrice }, "", null) : null;
}

/** What leaving at a price would bring, about, before fees. */
function gainOf(size: Decimal, from: Decimal, to: Decimal, isLong: boolean): Decimal {
  const moved = Big(to).div(from).minus(1).times(size);
  return (isLong ? moved : moved.times(-1)).toFixed(6);
}

function toastOf({ order, fill }: Placed, market: FormProps["market"]) {
  if (fill !== undefined) {
    const title = `${SIDES[order.side]} ${say.plain(fill.notional)} ${say.base(order.ticker)}`;
    return { kind: "done" as const, title, text: `Filled at once, at ${say.price(fill.price, market.tickSize)}.` };
  }
  if (order.closedAt !== null)
    return { kind: "note" as const, title: `${typeName(order)} order ended at once`, text: whyOf(order, market) };
  const text = `${say.money(order.reserve)} set aside. You find it below the chart.`;
  return { kind: "done" as const, title: orderName(order, market), text };
}
