import Big from "big.js";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import type { Market, OpenBody } from "../../api/venue";
import {
  type LivePosition,
  useConnection,
  useMargin,
  useMarket,
  useOpen,
  usePreview,
  useTriggers,
  useUserPositions,
  useWalletBalance,
} from "../../hooks";
import { decimal, isLess, pnlNow } from "../../live/money";
import * as say from "../../words/numbers";
import { type Words, ofExits, ofMargin, ofOpen } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Bad, ExitFields, TooLate, type Typed, exitsOf } from "../ticket/exits";
import { Tabs } from "../frame/parts";
import { Sheet, SheetHead } from "../frame/sheet";
import { SideTag } from "../frame/sidetag";
import { PartsForm } from "./parts";
import { ofWaiting, wayOf } from "./waiting";

export type EditTab = "exits" | "parts" | "margin" | "more";

/** What can be changed about an open position. */
export function EditSheet({ id, first, onClose }: { id: string; first: EditTab; onClose: () => void }) {
  const position = useUserPositions()?.find((one) => one.id === id);
  const market = useMarket(position?.ticker ?? "");
  const [tab, setTab] = useState<EditTab>(first);
  const isGone = position === undefined || market === null;
  useEffect(() => {
    if (isGone) onClose();
  }, [isGone, onClose]);
  if (isGone) return null;
  const name = say.base(position.ticker);
  const parts = { position, market, onClose };
  return (
    <Sheet label={`Edit ${name} ${position.side}`} onClose={onClose}>
      <SheetHead title={name} onClose={onClose}>
        <SideTag position={position} />
      </SheetHead>
      <Tabs
        label="What to change"
        now={tab}
        onPick={setTab}
        all={[
          { name: "exits", title: "Profit and stop" },
          { name: "parts", title: "In parts" },
          { name: "margin", title: "Margin" },
          { name: "more", title: "Add to it" },
        ]}
      />
      {tab === "exits" ? (
        <ExitsForm {...parts} />
      ) : tab === "parts" ? (
        <PartsForm position={position} market={market} />
      ) : tab === "margin" ? (
        <MarginForm {...parts} />
      ) : (
        <MoreForm {...parts} />
      )}
    </Sheet>
  );
}

type Parts = { readonly position: LivePosition; readonly market: Market; readonly onClose: () => void };

type GoProps = { text: string; isOff: boolean; testid: string };

function Go({ text, isOff, testid }: GoProps) {
  const { isStale } = useConnection();
  return (
    <button className="btn big primary" data-testid={testid} aria-disabled={isOff || isStale}>
      {isStale ? "Waiting for the venue" : text}
    </button>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const typedOf = ({ takeProfit, stopLoss }: LivePosition, market: Market): Typed => ({
  takeProfit: takeProfit === null ? "" : say.price(takeProfit, market.tickSize),
  stopLoss: stopLoss === null ? "" : say.price(stopLoss, market.tickSize),
});

function ExitsForm({ position, market, onClose }: Parts) {
  const { say: tell } = useDesk();
  const { isStale } = useConnection();
  const { set, progress, isPending, reset } = useTriggers();
  const [typed, setTyped] = useState(() => typedOf(position, market));
  useEffect(reset, [typed, reset]);
  const exits = exitsOf(typed);
  const words = progress.phase === "refused" ? ofExits(progress.refusal, market) : null;
  const price = (value: string) => say.price(value, market.tickSize);
  const said = exits && [
    exits.takeProfit !== undefined && `profit at ${price(exits.takeProfit)}`,
    exits.stopLoss !== undefined && `stop at ${price(exits.stopLoss)}`,
  ];
  const listed = said?.filter(Boolean).join(", ");
  const had = position.takeProfit !== null || position.stopLoss !== null;
  const isSame = Number(exits?.takeProfit ?? 0) === Number(position.takeProfit ?? 0);
  const isNothing = exits !== null && isSame && Number(exits.stopLoss ?? 0) === Number(position.stopLoss ?? 0);
  const isOff = exits === null || isNothing || isPending || words !== null;
  const text = isNothing ? (had ? "As it is" : "Type a price") : listed ? `Set ${listed}` : "Take both away";
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isOff || isStale || exits === null) return;
    const verdict = await set(position.id, exits);
    if (verdict.phase !== "done") return;
    const late = verdict.answer.warning ? " The position is liquidated before this stop." : "";
    const title = `${say.base(position.ticker)}: ${listed || "profit and stop taken away"}`;
    tell({ kind: late ? "note" : "done", title, text: `It closes at the market.${late}` });
    onClose();
  };
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <div>
        <ExitFields
          id="edit"
          typed={typed}
          onType={setTyped}
          market={market}
          isLocked={isPending}
          words={words}
          gainAt={(at) => pnlNow(position, at)}
        />
        <TooLate side={position.side} stop={exits?.stopLoss} liquidation={position.liquidationPrice} market={market} />
        {words && <Bad words={words} />}
      </div>
      <p className="under">
        When the mark price gets there, the venue closes all of it at the market. After a jump that may be worse than
        the stop. An empty field means none.
      </p>
      <Go
        testid="exits-submit"
        isOff={isOff}
        text={wayOf(progress.phase) ?? words?.button ?? (exits === null ? "Check the prices" : text)}
      />
    </form>
  );
}

function MarginForm({ position, market, onClose }: Parts) {
  const { say: tell } = useDesk();
  const { isStale } = useConnection();
  const wallet = useWalletBalance();
  const { change, progress, isPending, reset } = useMargin();
  const [isIn, setIn] = useState(true);
  const [text, setText] = useState("");
  useEffect(reset, [text, isIn, reset]);
  const amount = decimal(text);
  const words = progress.phase === "refused" ? ofMargin(progress.refusal, market) : null;
  const isOff = amount === null || Number(amount) === 0 || isPending || words !== null;
  const moved = Big(isOff && !isPending ? 0 : (amount ?? 0)).times(isIn ? 1 : -1);
  const what =
    amount === null || Number(amount) === 0 ? "Type an amount" : `${isIn ? "Put in" : "Take out"} ${say.money(amount)}`;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isOff || isStale) return;
    const verdict = await change(position.id, moved.toFixed());
    if (verdict.phase === "waiting") return (tell(ofWaiting(verdict.order)), onClose());
    if (verdict.phase !== "done") return;
    const { position: now } = verdict.answer;
    const end =
      now.liquidationPrice === null ? "" : ` Liquidation is at ${say.price(now.liquidationPrice, market.tickSize)}.`;
    const title = `${say.money(moved.abs().toFixed())} margin ${isIn ? "put in" : "taken out"}`;
    tell({ kind: "done", title, text: `${say.base(now.ticker)} has ${say.money(now.margin)}.${end}` });
    onClose();
  };
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <div className="seg" role="group" aria-label="Which way">
        {([true, false] as const).map((way) => (
          <button
            key={String(way)}
            type="button"
            aria-pressed={isIn === way}
            disabled={isPending}
            onClick={() => setIn(way)}
          >
            {way ? "Put in" : "Take out"}
          </button>
        ))}
      </div>
      <div>
        <div className="field" data-bad={words?.field === "amount" || undefined}>
          <label htmlFor="margin-amount">Amount</label>
          <input
            id="margin-amount"
            data-testid="margin-amount"
            inputMode="decimal"
            autoComplete="off"
            value={text}
            disabled={isPending}
            aria-invalid={words?.field === "amount"}
            onChange={(event) => setText(event.target.value)}
          />
          <span className="unit">USD</span>
        </div>
        {words && <Bad words={words} onUse={(use) => use.amount !== undefined && setText(say.plain(use.amount))} />}
      </div>
      <dl className="preview">
        <Line name="Margin">
          {say.money(position.margin)} → {say.money(Big(position.margin).plus(moved).toFixed())}
        </Line>
        {wallet && (
          <Line name="Available">
            {say.spendable(wallet.available)} → {say.spendable(Big(wallet.available).minus(moved).toFixed())}
          </Line>
        )}
        <div className="liqrow">
          <dt>Liquidation now</dt>
          <dd className="warn">{say.price(position.liquidationPrice ?? "0", market.tickSize)}</dd>
        </div>
      </dl>
      <p className="under">
        {isIn
          ? "More margin moves the liquidation price away. Size and profit stay as they are."
          : "Only margin beyond what the market asks for comes out; profit does when you close."}
      </p>
      <Go testid="margin-submit" isOff={isOff} text={wayOf(progress.phase) ?? words?.button ?? what} />
    </form>
  );
}

function MoreForm({ position, market, onClose }: Parts) {
  const { say: tell } = useDesk();
  const { isStale } = useConnection();
  const wallet = useWalletBalance();
  const { open, progress, isPending, reset } = useOpen();
  const [text, setText] = useState("");
  const amount = decimal(text);
  const leverage = Math.min(position.leverage, market.maxLeverage);
  const { ticker, side, id: positionId } = position;
  const isEmpty = amount === null || Number(amount) === 0;
  const order: OpenBody | null = isEmpty
    ? null
    : { ticker, side, size: amount, leverage, positionId, maxSlippageBps: 50 };
  const preview = usePreview(order, market.currentPrice);
  useEffect(reset, [text, reset]);
  const { quote } = preview;
  const isShort = quote !== null && wallet !== null && isLess(wallet.available, quote.totalRequired);
  const refusal = progress.phase === "refused" ? progress.refusal : preview.refusal;
  const short: Words | null = isShort
    ? {
        field: "size",
        text: `That needs ${say.money(quote.totalRequired)}. You have ${say.spendable(wallet.available)}.`,
        button: "Not enough available",
      }
    : null;
  const words = refusal ? ofOpen(refusal, market, side, leverage) : short;
  const isOff = order === null || quote === null || isPending || words !== null;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isOff || isStale) return;
    const verdict = await open(order);
    if (verdict.phase === "waiting") return (tell(ofWaiting(verdict.order)), onClose());
    if (verdict.phase !== "done") return;
    const { fill, position: now } = verdict.answer;
    const size = `${say.quantity(now.quantity, market.lotSize)} ${say.base(ticker)}`;
    tell({
      kind: "done",
      title: `${say.plain(fill.notional)} added`,
      text: `You hold ${size}, entry ${say.price(now.entryPrice, market.tickSize)}.`,
    });
    onClose();
  };
  const price = (value: string | undefined) => (value === undefined ? "–" : say.price(value, market.tickSize));
  const what = isEmpty
    ? "Type a size"
    : quote === null
      ? "Asking the venue…"
      : `Add ${say.plain(amount)} for ${say.money(quote.totalRequired)}`;
  return (
    <form className="stack" onSubmit={submit} noValidate>
      <div>
        <div className="field" data-bad={words?.field === "size" || undefined}>
          <label htmlFor="more-size">Size</label>
          <input
            id="more-size"
            data-testid="more-size"
            inputMode="decimal"
            autoComplete="off"
            value={text}
            disabled={isPending}
            aria-invalid={words?.field === "size"}
            onChange={(event) => setText(event.target.value)}
          />
          <span className="unit">USD at {leverage}×</span>
        </div>
        {words && <Bad words={words} onUse={(use) => use.size !== undefined && setText(say.plain(use.size))} />}
      </div>
      <dl className={preview.isOld ? "preview old" : "preview"}>
        <Line name="Fill">{price(quote?.fill.price)}</Line>
        <Line name="Margin and fee">{quote ? say.money(quote.totalRequired) : "–"}</Line>
        <Line name="Entry">
          {price(position.entryPrice)} → {price(quote?.entryPrice)}
        </Line>
        <div className="liqrow">
          <dt>Liquidation</dt>
          <dd className="warn">
            {price(position.liquidationPrice ?? undefined)} → {price(quote?.liquidationPrice)}
          </dd>
        </div>
      </dl>
      <Go testid="more-submit" isOff={isOff} text={wayOf(progress.phase) ?? words?.button ?? what} />
    </form>
  );
}
