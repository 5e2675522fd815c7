import Big from "big.js";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import type { Market, OpenBody, Opened, Side } from "../../api/venue";
import {
  type WalletNow,
  useConnection,
  useEvery,
  useOpen,
  useOrders,
  usePreview,
  useSession,
  useWalletBalance,
} from "../../hooks";
import * as say from "../../words/numbers";
import { isForNextPrice } from "../../words/orders";
import { affordable, ofOpen, shortOf, unconfirmed } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Bad, ExitFields, NO_EXITS, TooLate, exitsOf } from "./exits";
import { OrderForm, TwapForm } from "../frame/later";
import { Icon } from "../frame/parts";
import { type Draft, useDraft } from "./draft";
import { Go, type Kind, Kinds, Sides, SizeField } from "./fields";
import { LeverageOf, Numbers } from "./numbers";
import { ofWaiting } from "../positions/waiting";

export type FormProps = {
  readonly market: Market;
  readonly draft: Draft;
  readonly wallet: WalletNow | null;
  /** While a command is on its way, side and kind stay. */
  readonly onLock: (isLocked: boolean) => void;
};

export function Ticket({ market }: { market: Market }) {
  const wallet = useWalletBalance();
  const draft = useDraft(market, wallet?.available ?? null);
  const [kind, setKind] = useState<Kind>("market");
  const [isLocked, lock] = useState(false);
  if (market.status !== "enabled") return <Shut market={market} />;
  const parts = { market, draft, wallet, onLock: lock };
  return (
    <div className="form">
      <Sides side={draft.side} onPick={draft.setSide} isLocked={isLocked} />
      <Kinds kind={kind} onPick={(next) => !isLocked && setKind(next)} />
      {kind === "market" ? (
        <MarketForm {...parts} />
      ) : kind === "twap" ? (
        <TwapForm {...parts} />
      ) : (
        <OrderForm key={kind} {...parts} type={kind} />
      )}
    </div>
  );
}

function MarketForm({ market, draft, wallet, onLock }: FormProps) {
  const session = useSession();
  const { isStale } = useConnection();
  const { say: tell, show, liftTicket } = useDesk();
  const { open, progress, isPending, reset } = useOpen();
  const { side, amount, leverage, slippage } = draft;
  const isWaiting = useOrders()?.some((order) => order.ticker === market.ticker && isForNextPrice(order));
  const exits = exitsOf(draft.exits);
  const exitText = JSON.stringify(exits);
  const body = useMemo<OpenBody | null>(
    () =>
      amount === null || Number(amount) === 0 || exitText === "null"
        ? null
        : {
            ticker: market.ticker,
            side,
            size: amount,
            leverage,
            ...(slippage && { maxSlippageBps: Number(slippage) }),
            ...JSON.parse(exitText),
          },
    [market.ticker, side, amount, leverage, slippage, exitText],
  );
  const doubt = market.heldPrice !== null || market.maxPriceAge !== null ? market.priceAt : "";
  const stamp = useEvery(1_000, `${market.currentPrice} ${doubt} ${market.heldPrice?.price}`);
  const preview = usePreview(session === null ? null : body, stamp);
  useEffect(reset, [body, reset]);
  useEffect(() => onLock(isPending), [isPending, onLock]);

  const refusal = progress.phase === "refused" ? progress.refusal : preview.refusal;
  const short = shortOf(preview.quote?.totalRequired, wallet?.available);
  const words = (refusal ?? short) ? ofOpen((refusal ?? short)!, market, side, leverage) : null;
  const isRight = session !== null && body !== null && words === null && preview.quote !== null;
  const isReady = isRight && !isStale && !isPending;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (session === null) return show({ name: "signin" });
    if (!isReady || body === null) return;
    const verdict = await open(body);
    draft.remember();
    if (verdict.phase === "waiting" || verdict.phase === "done") {
      tell(verdict.phase === "done" ? toastOf(verdict.answer, market) : ofWaiting(verdict.order));
      draft.setExits(NO_EXITS);
      liftTicket(false);
    }
  };

  const most = wallet && affordable(wallet.available, leverage, market.takerFee);
  const isOfExits = words?.field === "takeProfit" || words?.field === "stopLoss";
  const gainAt = (price: string) => preview.quote && gainOf(preview.quote.fill, side, price);
  const text =
    words !== null
      ? words.button
      : exits === null
        ? "Check the prices"
        : body === null
          ? "Type a size"
          : preview.quote === null
            ? "Asking the venue…"
            : `${side === "long" ? "Long" : "Short"} ${say.plain(body.size)} for ${say.money(preview.quote.totalRequired)}`;
  return (
    <form onSubmit={submit} aria-label={`Order ticket, ${market.ticker}`} noValidate>
      <SizeField {...{ market, draft, most, words }} at={market.currentPrice} isLocked={isPending} />
      <LeverageOf {...{ market, draft, words }} isLocked={isPending} />
      {session !== null && (
        <div>
          <ExitFields
            id="ticket"
            typed={draft.exits}
            onType={draft.setExits}
            market={market}
            isLocked={isPending}
            words={words}
            gainAt={gainAt}
          />
          {isOfExits && <Bad words={words} />}
          {preview.quote?.warning && (
            <TooLate side={side} stop={exits?.stopLoss} liquidation={preview.quote.liquidationPrice} market={market} />
          )}
        </div>
      )}
      {session !== null && <Numbers market={market} preview={preview} order={draft} isLocked={isPending} />}
      {words && words.field !== "size" && words.field !== "leverage" && !isOfExits && <Bad words={words} />}
      {words === null && market.heldPrice !== null && (
        <p className="note caution" data-testid="held-price">
          <Icon name="note" />
          <span>{unconfirmed(market)}</span>
        </p>
      )}
      {isWaiting && (
        <p className="note caution" role="status" data-testid="ticket-waiting">
          <Icon name="info" />
          <span>Waiting for the next price. Your order trades at it and cannot be taken back.</span>
        </p>
      )}
      <Go side={side} text={text} isReady={isReady} progress={progress.phase} />
      {isRight && wallet && preview.quote && (
        <p className="under middle">
          leaves {say.spendable(Big(wallet.available).minus(preview.quote.totalRequired).toFixed())} available
        </p>
      )}
    </form>
  );
}

/** What leaving at a price would bring, before the fee. */
function gainOf(fill: Opened["fill"], side: Side, price: string): string {
  const moved = Big(price).minus(fill.price).times(fill.quantity);
  return (side === "long" ? moved : moved.times(-1)).toFixed();
}

function toastOf(opened: Opened, market: Market) {
  const { position, fill } = opened;
  const title = `${position.side === "long" ? "Long" : "Short"} ${say.plain(fill.notional)} ${say.base(market.ticker)}`;
  const text = `Filled at ${say.price(fill.price, market.tickSize)}, fee ${say.money(opened.fee.amount)}`;
  return { kind: "done" as const, title, text };
}

function Shut({ market }: { market: Market }) {
  const said = {
    reduce_only: "Only closing is possible in this market.",
    halted: "Halted. Nothing trades and nobody is liquidated.",
    settled: "Settled: everybody has left this market for good.",
    unavailable: "This market is restarting.",
    enabled: "",
  };
  return (
    <p className="form note caution">
      <Icon name="note" />
      <span>{said[market.status]}</span>
    </p>
  );
}
