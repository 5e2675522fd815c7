import Big from "big.js";
import { type FormEvent, useEffect, useState } from "react";
import type { Market, Order, ReplaceBody } from "../../api/venue";
import { useConnection, useMarket, useOrders, useReplace, useUserPositions, useWalletBalance } from "../../hooks";
import { decimal, reserveOf } from "../../live/money";
import * as say from "../../words/numbers";
import { isForNextPrice, typeName, ofOrder, orderName } from "../../words/orders";
import { useDesk } from "../frame/desk";
import { wayOf } from "../positions/waiting";
import { Bad, ExitFields, exitsOf } from "../ticket/exits";
import { Sheet, SheetHead } from "../frame/sheet";
import { SideTag } from "../frame/sidetag";
import { Leverage } from "../ticket/numbers";
import { ExitOrderForm } from "./exit";
import { Expiry, PriceField, expiresAt } from "./fields";

/** Other terms for an order that waits. When it ends meanwhile, the sheet closes: the toast says how. */
export function OrderSheet({ id, onClose }: { id: string; onClose: () => void }) {
  const order = useOrders()?.find((one) => one.id === id && !isForNextPrice(one));
  const position = useUserPositions()?.find((one) => one.id === order?.positionId);
  const market = useMarket(order?.ticker ?? "");
  const isGone = order === undefined || market === null || (order.reduceOnly && position === undefined);
  useEffect(() => {
    if (isGone) onClose();
  }, [isGone, onClose]);
  if (isGone) return null;
  const name = say.base(order.ticker);
  return (
    <Sheet label={`Change ${typeName(order).toLowerCase()} ${name} ${order.side}`} onClose={onClose}>
      <SheetHead title={`${typeName(order)} ${name}`} onClose={onClose}>
        <SideTag position={order} />
      </SheetHead>
      {position && order.reduceOnly ? (
        <ExitOrderForm position={position} order={order} market={market} onDone={onClose} />
      ) : (
        <Form order={order} market={market} onClose={onClose} />
      )}
    </Sheet>
  );
}

type Parts = { readonly order: Order; readonly market: Market; readonly onClose: () => void };

function Form({ order, market, onClose }: Parts) {
  const { say: tell } = useDesk();
  const { isStale } = useConnection();
  const wallet = useWalletBalance();
  const { replace, progress, isPending, reset } = useReplace();
  const tick = market.tickSize;
  const [text, setText] = useState(() => say.price(order.price, tick));
  const [sizeText, setSize] = useState(() => say.exactly(order.size ?? "0"));
  const [leverage, setLeverage] = useState(Math.min(order.leverage, market.maxLeverage));
  const [hours, setHours] = useState("keep");
  const [typed, setTyped] = useState(() => ({
    takeProfit: order.takeProfit === null ? "" : say.price(order.takeProfit, tick),
    stopLoss: order.stopLoss === null ? "" : say.price(order.stopLoss, tick),
  }));
  const [price, size, exits] = [decimal(text), decimal(sizeText), exitsOf(typed)];
  const terms = termsOf(order, { price, size, leverage, hours, exits });
  const asked = JSON.stringify([text, sizeText, leverage, hours, typed]);
  useEffect(reset, [asked, reset]);
  const words = progress.phase === "refused" ? ofOrder(progress.refusal, market, { ...order, leverage }) : null;
  const isNothing = terms !== null && Object.keys(terms).length === 0;
  const isOff = terms === null || isNothing || isPending || words !== null;
  const kept = size === null ? null : reserveOf(size, leverage, market.takerFee);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isOff || isStale) return;
    const verdict = await replace(order.id, terms);
    if (verdict.phase !== "done") return;
    const { order: now, fill } = verdict.answer;
    const done = fill === undefined ? orderName(now, market) : `Filled at ${say.price(fill.price, tick)}`;
    tell({ kind: "done", title: "Order changed", text: `${done}.` });
    onClose();
  };
  const said =
    wayOf(progress.phase) ??
    (isStale
      ? "Waiting for the venue"
      : (words?.button ??
        (terms === null
          ? "Check the fields"
          : isNothing
            ? "As it is"
            : `Change to ${say.plain(size ?? "0")} at ${say.price(price ?? "0", tick)}`)));
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <PriceField id="order-price" {...{ market, order, text, words }} onType={setText} isLocked={isPending} />
      <div>
        <div className="field" data-bad={size === null || words?.field === "size" || undefined}>
          <label htmlFor="order-size">Size</label>
          <input
            id="order-size"
            data-testid="order-size"
            inputMode="decimal"
            autoComplete="off"
            value={sizeText}
            disabled={isPending}
            aria-invalid={size === null || words?.field === "size"}
            onChange={(event) => setSize(event.target.value)}
          />
          <span className="unit">USD</span>
        </div>
        {words?.field === "size" && <Bad words={words} onUse={(use) => use.size && setSize(say.plain(use.size))} />}
      </div>
      <Leverage
        id="order-leverage"
        market={market}
        leverage={leverage}
        onPick={setLeverage}
        isLocked={isPending}
        isBad={words?.field === "leverage"}
      />
      <ExitFields
        id="order"
        typed={typed}
        onType={setTyped}
        market={market}
        isLocked={isPending}
        words={words}
        gainAt={() => null}
      />
      <dl className="preview">
        <div>
          <dt>Set aside</dt>
          <dd>
            {say.money(order.reserve)} → {kept === null ? "–" : say.money(kept)}
          </dd>
        </div>
        {wallet && kept !== null && (
          <div>
            <dt>Available</dt>
            <dd>
              {say.spendable(wallet.available)} →{" "}
              {say.spendable(Big(wallet.available).plus(order.reserve).minus(kept).toFixed())}
            </dd>
          </div>
        )}
        <Expiry id="order-expiry" value={hours} onPick={setHours} isLocked={isPending} kept={order.expiresAt} />
      </dl>
      {words && !["price", "size"].includes(words.field ?? "") && <Bad words={words} />}
      <p className="under">Its new terms hold at once. It goes behind other orders at the same price.</p>
      <button className="btn big primary" data-testid="order-submit" aria-disabled={isOff || isStale}>
        {said}
      </button>
    </form>
  );
}

type Typed = {
  price: string | null;
  size: string | null;
  leverage: number;
  hours: string;
  exits: ReturnType<typeof exitsOf>;
};

/** What differs from the order as it is; null: something is no number. The venue keeps what is left out; null takes an exit away. */
function termsOf(order: Order, { price, size, leverage, hours, exits }: Typed): ReplaceBody | null {
  if (!Number(price) || !Number(size) || exits === null) return null;
  const isOther = (one: string | null, other: string | null) =>
    one === null || other === null ? one !== other : Number(one) !== Number(other);
  const [takeProfit, stopLoss] = [exits.takeProfit ?? null, exits.stopLoss ?? null];
  const until = hours === "keep" ? null : expiresAt(hours);
  return {
    ...(isOther(price, order.price) && { price }),
    ...(isOther(size, order.size) && { size }),
    ...(leverage !== order.leverage && { leverage }),
    ...(until !== null && { expiresAt: until }),
    ...(isOther(takeProfit, order.takeProfit) && { takeProfit }),
    ...(isOther(stopLoss, order.stopLoss) && { stopLoss }),
  };
}
