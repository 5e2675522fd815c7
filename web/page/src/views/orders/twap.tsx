import Big from "big.js";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import type { Market, OrderBody, Placed, Refused } from "../../api/venue";
import { useConnection, useEvery, useNow, useOrderPreview, usePlace, useSession } from "../../hooks";
import { type Decimal, decimal } from "../../live/money";
import * as say from "../../words/numbers";
import { SIDES, ofOrder, orderName } from "../../words/orders";
import { type Words, affordable, shortOf } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { NumberField } from "../frame/field";
import { Bad } from "../ticket/exits";
import { Go, SizeField } from "../ticket/fields";
import { LIQUIDATED, LeverageOf } from "../ticket/numbers";
import type { FormProps } from "../ticket/ticket";
import { WorstPrice, worstOf } from "./fields";

const SLICES = { least: 2, most: 100, first: "12" } as const;
const UNITS = { s: 1_000, min: 60_000, h: 3_600_000 } as const;
type Unit = keyof typeof UNITS;
const DAY_MS = 86_400_000;
const LEAST_MS = 1_000;

/** The ticket of an order that is taken in parts, one after the other. */
export function TwapForm({ market, draft, wallet, onLock }: FormProps) {
  const session = useSession();
  const { isStale } = useConnection();
  const { say: tell, show, liftTicket } = useDesk();
  const { place, progress, isPending, reset } = usePlace();
  const { side, amount, leverage } = draft;
  const [slicesText, setSlices] = useState<string>(SLICES.first);
  const [everyText, setEvery] = useState("5");
  const [unit, setUnit] = useState<Unit>("min");
  const [worst, setWorst] = useState("");
  const slices = /^\d{1,4}$/.test(slicesText.trim()) ? Number(slicesText) : null;
  const every = decimal(everyText);
  const intervalMs = every === null ? null : Math.round(Number(every) * UNITS[unit]);
  const quote = useEvery(1_000, market.currentPrice);
  const own = ofSlices(market, { amount, slices, intervalMs });
  const isSized = amount !== null && Number(amount) > 0;
  const body = useMemo<OrderBody | null>(
    () =>
      !isSized || own !== null || slices === null || intervalMs === null
        ? null
        : {
            ticker: market.ticker,
            type: "twap",
            side,
            size: amount,
            leverage,
            slices,
            intervalMs,
            ...(worst !== "" && { acceptablePrice: worstOf(quote, { type: "twap", side }, worst) }),
          },
    [market.ticker, side, amount, isSized, leverage, slices, intervalMs, own === null, worst, worst && quote],
  );
  const preview = useOrderPreview(session === null ? null : body, quote);
  const asked = JSON.stringify([side, amount, leverage, slices, intervalMs, worst]);
  useEffect(reset, [asked, reset]);
  useEffect(() => onLock(isPending), [isPending, onLock]);

  const refusal =
    progress.phase === "refused"
      ? progress.refusal
      : (preview.refusal ?? shortOf(preview.quote?.reserve, wallet?.available));
  const words = own ?? (refusal && ofTwap(refusal, market, { type: "twap", side, leverage }));
  const isRight = session !== null && body !== null && words === null && preview.quote !== null;
  const isReady = isRight && !isStale && !isPending;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (session === null) return show({ name: "signin" });
    if (!isReady || body === null) return;
    const verdict = await place(body);
    draft.remember();
    if (verdict.phase !== "done") return;
    tell(toastOf(verdict.answer, market));
    liftTicket(false);
  };

  const most = wallet && affordable(wallet.available, leverage, market.takerFee);
  const lasts = slices === null || intervalMs === null ? null : ((slices - 1) * intervalMs) / 1_000;
  const said = words
    ? words.button
    : !isSized
      ? "Type a size"
      : session !== null && preview.quote === null
        ? "Asking the venue…"
        : `TWAP ${side} ${say.plain(amount)} over ${say.lasting(lasts ?? 0)}`;
  const isBeside = words?.field === "size" || words?.field === "slices" || words?.field === "intervalMs";
  return (
    <form onSubmit={submit} aria-label={`TWAP order, ${market.ticker}`} noValidate>
      <SizeField {...{ market, draft, most, words }} at={market.currentPrice} isLocked={isPending} />
      <div>
        <div className="pair">
          <NumberField
            id="twap-slices"
            label="Parts"
            value={slicesText}
            isWhole
            isBad={words?.field === "slices"}
            isLocked={isPending}
            note="twap-note"
            onType={setSlices}
          />
          <NumberField
            id="twap-every"
            label="Every"
            value={everyText}
            isBad={words?.field === "intervalMs"}
            isLocked={isPending}
            note="twap-note"
            onType={setEvery}
          >
            <label className="unit">
              <span className="vh">Unit of time</span>
              <select
                value={unit}
                data-testid="twap-unit"
                disabled={isPending}
                onChange={(event) => setUnit(event.target.value as Unit)}
              >
                {(Object.keys(UNITS) as Unit[]).map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
          </NumberField>
        </div>
        {words?.field === "slices" || words?.field === "intervalMs" ? (
          <Bad words={words} id="twap-note" />
        ) : (
          <p className="under" id="twap-note">
            {isSized && slices !== null && lasts !== null ? (
              <Schedule part={Big(amount).div(slices).toFixed()} slices={slices} lasts={lasts} />
            ) : (
              "It is taken in equal parts, the first one now."
            )}
          </p>
        )}
      </div>
      <LeverageOf {...{ market, draft, words }} isLocked={isPending} />
      {session !== null && (
        <Numbers market={market} preview={preview} worst={worst} onWorst={setWorst} isLocked={isPending} />
      )}
      {words && !isBeside && words.field !== "leverage" && <Bad words={words} />}
      <Go side={side} text={said} isReady={isReady} progress={progress.phase} />
      {isRight && wallet && preview.quote && (
        <p className="under middle">
          leaves {say.spendable(Big(wallet.available).minus(preview.quote.reserve).toFixed())} available
        </p>
      )}
    </form>
  );
}

/** `12 parts of about 83.33: the first now, the last in 55 min, at 21:15:30` */
function Schedule({ part, slices, lasts }: { part: Decimal; slices: number; lasts: number }) {
  const now = useNow(10_000);
  return (
    <span data-testid="twap-schedule">
      {slices} parts of about {say.money(part)}: the first now, the last in {say.lasting(lasts)}, at{" "}
      {say.time(now + lasts * 1_000)}
    </span>
  );
}

type NumbersProps = {
  readonly market: Market;
  readonly preview: ReturnType<typeof useOrderPreview>;
  readonly worst: string;
  readonly onWorst: (bps: string) => void;
  readonly isLocked: boolean;
};

/** What the venue says of all parts together, if nobody else trades meanwhile. */
function Numbers({ market, preview: { quote, isOld }, worst, onWorst, isLocked }: NumbersProps) {
  const expected = quote?.expected;
  const price = (value: string | null | undefined) => (value ? say.price(value, market.tickSize) : "–");
  return (
    <dl className={isOld ? "preview ages old" : "preview ages"} data-testid="ticket-preview" data-old={isOld}>
      <div>
        <dt>
          <abbr className="term" title="Of all parts together, if the price stays and nobody else trades meanwhile.">
            Fill, about
          </abbr>
        </dt>
        <dd>
          {price(expected?.fill?.price)}{" "}
          {expected?.fill && <span>impact {say.percent(Number(expected.fill.priceImpact))}</span>}
        </dd>
      </div>
      <div>
        <dt>
          <abbr
            className="term"
            title="Margin and fee of all parts. It comes back for those that are not taken, or if you cancel."
          >
            Set aside
          </abbr>
        </dt>
        <dd>
          {quote ? say.money(quote.reserve) : "–"} {quote?.maxFee && <span>fee {say.money(quote.maxFee)}</span>}
        </dd>
      </div>
      <WorstPrice id="twap-worst" value={worst} onPick={onWorst} isLocked={isLocked} what="part" />
      <div className="liqrow">
        <dt>
          <abbr className="term" title={LIQUIDATED}>
            Liquidation
          </abbr>
          , about
        </dt>
        <dd className="warn">
          {Number(expected?.liquidationPrice ?? 1) === 0 ? "never" : price(expected?.liquidationPrice)}
        </dd>
      </div>
    </dl>
  );
}

type Slices = {
  readonly amount: Decimal | null;
  readonly slices: number | null;
  readonly intervalMs: number | null;
};

/** What is wrong with the parts before anybody is asked; null: nothing. */
function ofSlices(market: Market, { amount, slices, intervalMs }: Slices): Words | null {
  if (slices === null || slices < SLICES.least || slices > SLICES.most)
    return { field: "slices", text: `${SLICES.least} to ${SLICES.most} parts.`, button: "Check the parts" };
  if (intervalMs === null || intervalMs < LEAST_MS || intervalMs > DAY_MS)
    return { field: "intervalMs", text: "From 1 second to 24 hours lie between two parts.", button: "Check the time" };
  if (amount === null || Number(amount) === 0) return null;
  const least = market.minOrderSize;
  if (!Big(amount).div(slices).lt(least)) return null;
  const [fits, size] = [Big(amount).div(least).round(0, Big.roundDown).toNumber(), Big(least).times(slices).toFixed()];
  const instead = fits >= SLICES.least ? `Take ${fits} parts, or ${say.plain(size)}.` : `Take ${say.plain(size)}.`;
  return {
    field: "slices",
    text: `A part would be ${say.money(Big(amount).div(slices).toFixed())}; the least is ${say.money(least)}. ${instead}`,
    button: "The parts are too small",
  };
}

function ofTwap(refusal: Refused, market: Market, order: Parameters<typeof ofOrder>[2]): Words {
  const { code, details } = refusal;
  if (code === "position_size_too_small" && "mostSlices" in details)
    return {
      field: "slices",
      text: `Each part must be ${say.money(String(details["smallestSlice"]))} or more: take ${String(details["mostSlices"])} parts, or more money.`,
      button: "The parts are too small",
    };
  return ofOrder(refusal, market, order);
}

function toastOf({ order }: Placed, market: Market) {
  const { twap } = order;
  const text =
    twap && order.averagePrice !== null
      ? `${SIDES[order.side]} ${say.money(twap.filled)} so far, at ${say.price(order.averagePrice, market.tickSize)}. You find it below the chart.`
      : "You find it below the chart.";
  return { kind: "done" as const, title: `${orderName(order, market)} has begun`, text };
}
