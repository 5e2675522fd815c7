import Big from "big.js";
import { type FormEvent, useEffect, useState } from "react";
import type { Market, Order, OrderBody, Placed, ReplaceBody } from "../../api/venue";
import { Refused } from "../../api/venue";
import { type LivePosition, useConnection, usePlace, useReplace } from "../../hooks";
import { type Decimal, decimal, pnlNow, times, trailingPrice } from "../../live/money";
import * as say from "../../words/numbers";
import { ofOrder, shareName, typeName } from "../../words/orders";
import { useDesk } from "../frame/desk";
import { Gain, arrows } from "../frame/parts";
import { wayOf } from "../positions/waiting";
import { Bad, TooLate } from "../ticket/exits";
import { CallbackField, ShareField, shareOf } from "./exit-fields";
import { Expiry, PriceField, WorstPrice, expiresAt, firstPrice, wouldBeReached, worstOf } from "./fields";

const TYPES = ["take_profit", "stop", "trailing_stop"] as const;
type ExitType = (typeof TYPES)[number];
const BESIDE: readonly string[] = ["price", "percentage", "callback"];
const FIRST_CALLBACK = "0.02";

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
  const [shareText, setShare] = useState(() => say.exactly(times(order?.percentage ?? (order ? "1" : "0.5"), 100)));
  const [hours, setHours] = useState(order ? "keep" : "");
  const [worst, setWorst] = useState(order ? "keep" : "");
  const [callbackText, setCallback] = useState(() => say.exactly(times(order?.callback ?? FIRST_CALLBACK, 100)));
  const text = typed ?? say.price(first, market.tickSize);
  const percentage = shareOf(shareText);
  const trails = type === "trailing_stop";
  const callback = !trails || Number(shareOf(callbackText)) === 1 ? null : shareOf(callbackText);
  const best = order?.extremePrice ?? market.markPrice;
  const price = !trails ? decimal(text) : callback && trailingPrice(position.side, best, callback, market.tickSize);
  const terms = { type, price, percentage, callback, hours, worst };
  const asked = JSON.stringify([type, trails ? callback : price, percentage, hours, worst]);
  useEffect(reset, [asked, reset]);
  const pick = (next: ExitType) => {
    setType(next);
    setTyped(null);
    setFirst(firstPrice(market, { ...waits, type: next }));
  };

  const isSame = trails || (order !== undefined && Number(price) === Number(order.price));
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
  const where = trails ? `, ${say.percent(Number(callback))} behind` : ` at ${at}`;
  const said =
    wayOf(progress.phase) ??
    (isStale
      ? "Waiting for the venue"
      : (words?.button ??
        (!Number(price)
          ? trails
            ? "Type how far"
            : "Type a price"
          : percentage === null
            ? "Type a share"
            : isNothing
              ? "As it is"
              : `${order ? "Change to" : name + " for"} ${shareName(percentage)}${where}`)));
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
      {trails ? (
        <CallbackField
          text={callbackText}
          onType={setCallback}
          isLocked={isPending}
          note={ofTrailing(position.side, best, price ?? best, market)}
          {...{ callback, words }}
        />
      ) : (
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
      )}
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
      {words && !BESIDE.includes(words.field ?? "") && <Bad words={words} />}
      <button className="btn big primary" data-testid="exit-submit" aria-disabled={isOff}>
        {said}
      </button>
    </form>
  );
}

/** What a trailing stop does, and where it would leave as things are. */
const ofTrailing = (side: LivePosition["side"], best: Decimal, price: Decimal, { tickSize }: Market): string =>
  `It follows the mark ${side === "long" ? "up and never down" : "down and never up"}. Its best since it began is ${say.price(best, tickSize)}: now it would leave at ${say.price(price, tickSize)}.`;

type Terms = {
  readonly type: ExitType;
  /** Of a trailing stop. */
  readonly callback: Decimal | null;
  readonly price: Decimal | null;
  readonly percentage: Decimal | null;
  readonly hours: string;
  readonly worst: string;
};

type Sure = Terms & { readonly price: Decimal; readonly percentage: Decimal };

function bodyOf({ id, side }: LivePosition, { type, price, percentage, callback, hours, worst }: Sure): OrderBody {
  const until = expiresAt(hours);
  const waits = { type, side, reduceOnly: true };
  return {
    positionId: id,
    type,
    ...(callback !== null ? { callback } : { price }),
    percentage,
    ...(until !== null && { expiresAt: until }),
    ...(type === "stop" && worst !== "" && { acceptablePrice: worstOf(price, waits, worst) }),
  };
}

/** What differs from the exit as it is: the venue keeps what is left out. */
function changesOf(order: Order, { price, percentage, callback, hours, worst }: Terms): ReplaceBody {
  const until = hours === "keep" ? null : expiresAt(hours);
  const isWorse = worst !== "keep" && (worst !== "" || order.acceptablePrice !== null);
  return {
    ...(callback === null && Number(price) !== Number(order.price) && { price }),
    ...(callback !== null && Number(callback) !== Number(order.callback) && { callback }),
    ...(Number(percentage) !== Number(order.percentage ?? 1) && { percentage }),
    ...(until !== null && { expiresAt: until }),
    ...(isWorse && { acceptablePrice: worst === "" ? null : worstOf(price ?? order.price, order, worst) }),
  };
}

const keptWorst = ({ acceptablePrice }: Order, market: Market): string =>
  acceptablePrice === null ? "any price" : say.price(acceptablePrice, market.tickSize);

function toastOf({ order }: Placed, market: Market, isChanged: boolean) {
  const name = typeName(order);
  const at = say.price(order.price, market.tickSize);
  const text = `Closes ${shareName(order.percentage)} at ${order.callback === null ? at : `${at}, and follows the mark`}.`;
  const title = `${say.base(order.ticker)}: ${name.toLowerCase()} ${isChanged ? "changed" : "set"}`;
  return { kind: "done" as const, title, text };
}
