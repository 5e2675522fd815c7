import Big from "big.js";
import { type FormEvent, useEffect, useState } from "react";
import type { Market, Order, OrderBody, Placed, ReplaceBody } from "../../api/venue";
import { Refused } from "../../api/venue";
import { type LivePosition, useConnection, usePlace, useReplace } from "../../hooks";
import { type Decimal, decimal, pnlNow } from "../../live/money";
import * as say from "../../words/numbers";
import { ofOrder, shareName, typeName } from "../../words/orders";
import { type Words } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Gain, arrows } from "../frame/parts";
import { Bad, TooLate } from "../ticket/exits";
import { Expiry, PriceField, WorstPrice, expiresAt, firstPrice, wouldBeReached, worstOf } from "./fields";

const TYPES = ["take_profit", "stop"] as const;
type ExitType = (typeof TYPES)[number];
const SHARES = [25, 50, 75, 100] as const;

type Props = {
  readonly position: LivePosition;
  readonly market: Market;
  /** The exit to change; without it a new one. */
  readonly order?: Order;
  readonly onDone: () => void;
};

/** An exit of a position by a share of it, at a price: a new one, or other terms for one that waits. */
export function ExitOrderForm({ position, market, order, onDone }: Props) {
  const { say: tell } = useDesk();
  const { isStale } = useConnection();
  const placing = usePlace();
  const changing = useReplace();
  const { progress, isPending, reset } = order === undefined ? placing : changing;
  const [type, setType] = useState<ExitType>((order?.type ?? "take_profit") as ExitType);
  const waits = { type, side: position.side, reduceOnly: true };
  const [typed, setTyped] = useState<string | null>(null);
  const [first, setFirst] = useState(() => order?.price ?? firstPrice(market, waits));
  const [shareText, setShare] = useState(() =>
    say.plain(
      Big(order?.percentage ?? (order ? 1 : 0.5))
        .times(100)
        .toFixed(),
    ),
  );
  const [hours, setHours] = useState(order ? "keep" : "");
  const [worst, setWorst] = useState(order ? "keep" : "");
  const text = typed ?? say.price(first, market.tickSize);
  const price = decimal(text);
  const percentage = shareOf(shareText);
  const terms = { type, price, percentage, hours, worst };
  useEffect(reset, [JSON.stringify(terms), reset]);
  const pick = (next: ExitType) => {
    setType(next);
    setTyped(null);
    setFirst(firstPrice(market, { ...waits, type: next }));
  };

  const isSame = order !== undefined && Number(price) === Number(order.price);
  const isReached = !isSame && wouldBeReached(waits, price, market);
  const refusal =
    progress.phase === "refused"
      ? progress.refusal
      : isReached
        ? new Refused("order_would_trigger", "", { price, markPrice: market.markPrice }, "", null)
        : null;
  const words = refusal ? ofOrder(refusal, market, { ...waits, leverage: position.leverage }) : null;
  const changes = order && price !== null && percentage !== null ? changesOf(order, terms) : null;
  const isNothing = changes !== null && Object.keys(changes).length === 0;
  const isRight = Number(price) > 0 && percentage !== null && words === null && !isNothing;
  const isOff = !isRight || isPending || isStale;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isOff || price === null || percentage === null) return;
    const verdict = await (changes !== null && order !== undefined
      ? changing.replace(order.id, changes)
      : placing.place(bodyOf(position, { ...terms, price, percentage })));
    if (verdict.phase !== "done") return;
    tell(toastOf(verdict.answer, market, order !== undefined));
    onDone();
  };

  const gain = price === null || percentage === null ? null : Big(pnlNow(position, price)).times(percentage).toFixed(6);
  const name = typeName(waits);
  const at = say.price(price ?? "0", market.tickSize);
  const said =
    progress.phase === "sending"
      ? "Sending…"
      : progress.phase === "retrying"
        ? "No answer yet, trying again"
        : isStale
          ? "Waiting for the venue"
          : (words?.button ??
            (!Number(price)
              ? "Type a price"
              : percentage === null
                ? "Type a share"
                : isNothing
                  ? "As it is"
                  : `${order ? "Change to" : name + " for"} ${shareName(percentage)} at ${at}`));
  return (
    <form className="stack" onSubmit={submit} aria-label={`${name}, ${position.ticker}`} noValidate>
      {order === undefined && (
        <div className="seg kinds" role="radiogroup" aria-label="Kind of exit" onKeyDown={arrows}>
          {TYPES.map((one) => (
            <button
              key={one}
              type="button"
              role="radio"
              data-testid={`exit-type-${one}`}
              aria-checked={type === one}
              tabIndex={type === one ? 0 : -1}
              disabled={isPending}
              onClick={() => pick(one)}
            >
              {typeName({ type: one, reduceOnly: true })}
            </button>
          ))}
        </div>
      )}
      <ShareField
        {...{ position, market, words, percentage }}
        text={shareText}
        onType={setShare}
        isLocked={isPending}
      />
      <div>
        <PriceField
          id="exit-price"
          order={{ ...waits, percentage }}
          {...{ market, text, words }}
          onType={setTyped}
          isLocked={isPending}
        />
        {type === "stop" && (
          <TooLate
            side={position.side}
            stop={price ?? undefined}
            liquidation={position.liquidationPrice}
            market={market}
          />
        )}
      </div>
      <dl className="preview">
        <div>
          <dt>{Number(gain) < 0 ? "Loss" : "Gain"}, about, before the fee</dt>
          <dd>{gain === null ? "–" : <Gain value={gain} />}</dd>
        </div>
        <Expiry
          id="exit-expiry"
          value={hours}
          onPick={setHours}
          isLocked={isPending}
          {...(order && { kept: order.expiresAt })}
        />
        {type === "stop" && (
          <WorstPrice
            id="exit-worst"
            value={worst}
            onPick={setWorst}
            isLocked={isPending}
            {...(order && { kept: keptWorst(order, market) })}
          />
        )}
      </dl>
      {words && words.field !== "price" && words.field !== "percentage" && <Bad words={words} />}
      <button className="btn big primary" data-testid="exit-submit" aria-disabled={isOff}>
        {said}
      </button>
    </form>
  );
}

/** A share as it is typed in per cent, as the venue takes it; null: it is none. */
function shareOf(text: string): Decimal | null {
  const percent = decimal(text);
  return percent === null || !(Number(percent) > 0) || Number(percent) > 100 ? null : Big(percent).div(100).toFixed();
}

type ShareProps = {
  readonly position: LivePosition;
  readonly market: Market;
  readonly text: string;
  readonly percentage: Decimal | null;
  readonly onType: (text: string) => void;
  readonly isLocked: boolean;
  readonly words: Words | null;
};

function ShareField({ position, market, text, percentage, onType, isLocked, words }: ShareProps) {
  const isBad = words?.field === "percentage" || percentage === null;
  const quantity = (value: Decimal) => say.quantity(value, market.lotSize);
  return (
    <div>
      <div className="field" data-bad={isBad || undefined}>
        <label htmlFor="exit-share">How much</label>
        <input
          id="exit-share"
          data-testid="exit-share"
          inputMode="decimal"
          autoComplete="off"
          value={text}
          disabled={isLocked}
          aria-invalid={isBad}
          aria-describedby="exit-share-note"
          onChange={(event) => onType(event.target.value)}
          onFocus={(event) => event.target.select()}
        />
        <span className="unit">%</span>
      </div>
      <div className="chips" role="group" aria-label="Share to close">
        {SHARES.map((percent) => (
          <button
            key={percent}
            type="button"
            aria-pressed={Number(percentage) * 100 === percent}
            disabled={isLocked}
            onClick={() => onType(String(percent))}
          >
            {percent === 100 ? "All" : `${percent} %`}
          </button>
        ))}
      </div>
      {words?.field === "percentage" ? (
        <Bad words={words} id="exit-share-note" />
      ) : (
        <p className="under" id="exit-share-note">
          {percentage === null
            ? "Type a share, more than 0 and at most 100"
            : `${quantity(Big(position.quantity).times(percentage).toFixed())} of the ${quantity(position.quantity)} ${say.base(position.ticker)} of now; it counts what there is by then`}
        </p>
      )}
    </div>
  );
}

type Terms = {
  readonly type: ExitType;
  readonly price: Decimal | null;
  readonly percentage: Decimal | null;
  readonly hours: string;
  readonly worst: string;
};

type Sure = Terms & { readonly price: Decimal; readonly percentage: Decimal };

function bodyOf({ id, side }: LivePosition, { type, price, percentage, hours, worst }: Sure): OrderBody {
  const until = expiresAt(hours);
  const waits = { type, side, reduceOnly: true };
  return {
    positionId: id,
    type,
    price,
    percentage,
    ...(until !== null && { expiresAt: until }),
    ...(type === "stop" && worst !== "" && { acceptablePrice: worstOf(price, waits, worst) }),
  };
}

/** What differs from the exit as it is: the venue keeps what is left out. */
function changesOf(order: Order, { price, percentage, hours, worst }: Terms): ReplaceBody {
  const until = hours === "keep" ? null : expiresAt(hours);
  const isWorse = worst !== "keep" && (worst !== "" || order.acceptablePrice !== null);
  return {
    ...(Number(price) !== Number(order.price) && { price }),
    ...(Number(percentage) !== Number(order.percentage ?? 1) && { percentage }),
    ...(until !== null && { expiresAt: until }),
    ...(isWorse && { acceptablePrice: worst === "" ? null : worstOf(price ?? order.price, order, worst) }),
  };
}

const keptWorst = ({ acceptablePrice }: Order, market: Market): string =>
  acceptablePrice === null ? "any price" : say.price(acceptablePrice, market.tickSize);

function toastOf({ order }: Placed, market: Market, isChanged: boolean) {
  const name = typeName(order);
  const text = `Closes ${shareName(order.percentage)} at ${say.price(order.price, market.tickSize)}.`;
  const title = `${say.base(order.ticker)}: ${name.toLowerCase()} ${isChanged ? "changed" : "set"}`;
  return { kind: "done" as const, title, text };
}
