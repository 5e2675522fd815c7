import Big from "big.js";
import { type FormEvent, useEffect, useMemo, useRef, useState } from "react";
import type { Market, OpenBody, Opened, Side } from "../api/venue";
import { Refused } from "../api/venue";
import {
  type Preview,
  useConnection,
  useDemoPeople,
  useNow,
  useOpen,
  usePreview,
  useSession,
  useTab,
  useWalletBalance,
} from "../hooks";
import { decimal, isLess } from "../live/money";
import * as say from "../words/numbers";
import { type Words, affordable, ofOpen, unconfirmed } from "../words/refusals";
import { useDesk, useKept } from "./desk";
import { Bad, ExitFields, NO_EXITS, TooLate, exitsOf } from "./exits";
import { Icon, Tri, arrows } from "./parts";
import { Leverage, Numbers } from "./ticket-parts";
import { WAITING, ofWaiting } from "./waiting";

const SHARES = [0.1, 0.25, 0.5, 0.75, 1] as const;
const FIRST_LEVERAGE = 10;
const FIRST_SIZE = "1000";

type Order = { side: Side; size: string; leverage: number; slippage: string };
type Kept = Partial<Order>;

/** The order in the ticket: what was used last, else what a first visit begins with. */
function useOrder(market: Market, available: string | null) {
  const [kept, keep] = useKept<Kept>("ticket", {});
  const [side, setSide] = useState<Side>(kept.side ?? "long");
  const most = market.maxLeverage;
  const [chosen, setLeverage] = useState(kept.leverage ?? FIRST_LEVERAGE);
  const leverage =
    kept.leverage === undefined && chosen === FIRST_LEVERAGE
      ? Math.max(1, Math.min(chosen, Math.floor(most / 2)))
      : Math.min(chosen, most);
  const [typed, setTyped] = useState<string | null>(kept.size === undefined ? null : say.plain(kept.size));
  const setSize = (amount: string) => setTyped(say.plain(amount));
  const tenth =
    available === null ? FIRST_SIZE : affordable(Big(available).div(10).toFixed(), leverage, market.takerFee);
  const size = typed ?? say.plain(isLess(tenth, FIRST_SIZE) ? tenth : FIRST_SIZE);
  const [slippage, setSlippage] = useState(kept.slippage ?? "50");
  const remember = (amount: string) => keep({ side, size: amount, leverage: chosen, slippage });
  return { side, setSide, size, setTyped, setSize, leverage, setLeverage, slippage, setSlippage, remember };
}

/** A price that changes often, looked at once a second. */
function useEverySecond<T>(value: T): T {
  const now = useRef(value);
  now.current = value;
  useNow(1_000);
  const [shown, setShown] = useState(value);
  useEffect(() => {
    const timer = setInterval(() => setShown(now.current), 1_000);
    return () => clearInterval(timer);
  }, []);
  return shown;
}

export function Ticket({ market }: { market: Market }) {
  const session = useSession();
  const wallet = useWalletBalance();
  const { isStale } = useConnection();
  const { say: tell, show, liftTicket } = useDesk();
  const { open, progress, isPending, reset } = useOpen();
  const order = useOrder(market, wallet?.available ?? null);
  const { side, size, leverage, slippage } = order;
  const [typed, setTyped] = useState(NO_EXITS);
  const exits = exitsOf(typed);
  const exitText = JSON.stringify(exits);
  const amount = decimal(size);
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
  const stamp = useEverySecond(`${market.currentPrice} ${doubt} ${market.heldPrice?.price}`);
  const preview = usePreview(session === null ? null : body, stamp);
  useEffect(reset, [body, reset]);

  const refusal = progress.phase === "refused" ? progress.refusal : preview.refusal;
  const short = shortOf(preview, wallet?.available ?? null);
  const words = (refusal ?? short) ? ofOpen((refusal ?? short)!, market, side, leverage) : null;
  const isRight = session !== null && body !== null && words === null && preview.quote !== null;
  const isReady = isRight && !isStale && !isPending;

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (session === null) return show({ name: "signin" });
    if (!isReady || body === null) return;
    const verdict = await open(body);
    if (amount !== null) order.remember(amount);
    if (verdict.phase === "waiting") tell(ofWaiting(verdict.order));
    if (verdict.phase === "done") {
      tell(toastOf(verdict.answer, market));
      setTyped(NO_EXITS);
      liftTicket(false);
    }
  };

  if (market.status !== "enabled") return <Shut market={market} />;
  const most = wallet && affordable(wallet.available, leverage, market.takerFee);
  const base = say.base(market.ticker);
  const use = (offer: NonNullable<Words["use"]>) => {
    if (offer.size !== undefined) order.setSize(offer.size);
    if (offer.leverage !== undefined) order.setLeverage(offer.leverage);
  };
  const isOfExits = words?.field === "takeProfit" || words?.field === "stopLoss";
  const gainAt = (price: string) => preview.quote && gainOf(preview.quote.fill, side, price);
  return (
    <form className="form" onSubmit={submit} aria-label={`Order ticket, ${market.ticker}`} noValidate>
      <Sides side={side} onPick={order.setSide} isLocked={isPending} />
      <div>
        <div className="field" data-bad={words?.field === "size" || undefined}>
          <label htmlFor="size">Size</label>
          <input
            id="size"
            data-testid="ticket-size"
            inputMode="decimal"
            autoComplete="off"
            value={size}
            disabled={isPending}
            aria-describedby="size-note"
            aria-invalid={words?.field === "size" || amount === null}
            onChange={(event) => order.setTyped(event.target.value)}
            onFocus={(event) => event.target.select()}
            onBlur={() => amount !== null && order.setSize(amount)}
          />
          <span className="unit">USD</span>
        </div>
        {most !== null && (
          <div className="chips" role="group" aria-label="Share of what you can afford">
            {SHARES.map((share) => (
              <button
                key={share}
                type="button"
                disabled={isPending}
                onClick={() =>
                  order.setSize(
                    Big(most)
                      .times(share)
                      .round(Number(most) < 10 ? 2 : 0, Big.roundDown)
                      .toFixed(),
                  )
                }
              >
                {share === 1 ? "Max" : `${share * 100} %`}
              </button>
            ))}
          </div>
        )}
        {words?.field === "size" ? (
          <Bad words={words} onUse={use} id="size-note" />
        ) : (
          <p className="under row" id="size-note">
            {amount === null ? (
              <span>Type an amount, such as 1,000</span>
            ) : (
              <span>
                {say.quantity(Number(amount) / Number(market.currentPrice), market.lotSize)} {base}
              </span>
            )}
            {most !== null && (
              <span>
                most at {leverage}×: {say.plain(most)}
              </span>
            )}
          </p>
        )}
      </div>
      <Leverage
        market={market}
        leverage={leverage}
        onPick={order.setLeverage}
        isLocked={isPending}
        isBad={words?.field === "leverage"}
      />
      {words?.field === "leverage" && <Bad words={words} onUse={use} />}
      {session !== null && (
        <div>
          <ExitFields
            id="ticket"
            typed={typed}
            onType={setTyped}
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
      {session !== null && <Numbers market={market} preview={preview} order={order} isLocked={isPending} />}
      {words && words.field !== "size" && words.field !== "leverage" && !isOfExits && <Bad words={words} />}
      {words === null && market.heldPrice !== null && (
        <p className="note caution" data-testid="held-price">
          <Icon name="note" />
          <span>{unconfirmed(market)}</span>
        </p>
      )}
      <Go
        side={side}
        size={amount}
        preview={preview}
        isStale={isStale}
        isReady={isReady}
        progress={progress.phase}
        words={words}
        isUnread={exits === null}
      />
      {isRight && wallet && preview.quote && (
        <p className="under middle">
          leaves {say.spendable(Big(wallet.available).minus(preview.quote.totalRequired).toFixed())} available
        </p>
      )}
    </form>
  );
}

/** The venue's preview does not look at the wallet: here is what it would say. */
function shortOf({ quote }: Preview, available: string | null): Refused | null {
  if (quote === null || available === null || !isLess(available, quote.totalRequired)) return null;
  const details = { required: quote.totalRequired, available };
  return new Refused("insufficient_funds", "The wallet does not hold enough.", details, "", null);
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

function Sides({ side, onPick, isLocked }: { side: Side; onPick: (side: Side) => void; isLocked: boolean }) {
  return (
    <div className="sides" role="radiogroup" aria-label="Side" onKeyDown={arrows}>
      {(["long", "short"] as const).map((name) => (
        <button
          key={name}
          type="button"
          role="radio"
          data-testid={`ticket-side-${name}`}
          aria-checked={side === name}
          tabIndex={side === name ? 0 : -1}
          className={`side ${name}`}
          disabled={isLocked}
          onClick={() => onPick(name)}
        >
          <Tri isDown={name === "short"} />
          {name === "long" ? "Long" : "Short"}
        </button>
      ))}
    </div>
  );
}

type GoProps = {
  side: Side;
  size: string | null;
  preview: Preview;
  isStale: boolean;
  isReady: boolean;
  progress: string;
  words: Words | null;
  /** Profit or stop is no price. */
  isUnread: boolean;
};

/** The button says what it will do, with the numbers. */
function Go({ side, size, preview, isStale, isReady, progress, words, isUnread }: GoProps) {
  const session = useSession();
  const people = useDemoPeople();
  const { sessions, venue } = useTab();
  const alice = people[0];
  if (session === null && alice !== undefined)
    return (
      <button
        type="button"
        className="btn big primary"
        data-testid="ticket-submit"
        onClick={() => void sessions.signIn(venue, alice.key)}
      >
        Trade as {nameOf(alice.userId)}
      </button>
    );
  const title = side === "long" ? "Long" : "Short";
  const text =
    session === null
      ? "Sign in to trade"
      : progress === "sending"
        ? "Sending…"
        : progress === "retrying"
          ? "No answer yet, trying again"
          : progress === "waiting"
            ? WAITING
            : isStale
              ? "Waiting for the venue"
              : words !== null
                ? words.button
                : isUnread
                  ? "Check the prices"
                  : size === null || preview.quote === null
                    ? size === null || Number(size) === 0
                      ? "Type a size"
                      : "Asking the venue…"
                    : `${title} ${say.plain(size)} for ${say.money(preview.quote.totalRequired)}`;
  const isOn = isReady || session === null;
  const shade =
    session === null ? "primary" : isOn || progress === "sending" ? (side === "long" ? "go-up" : "go-down") : "";
  return (
    <button className={`btn big ${shade}`} data-testid="ticket-submit" aria-disabled={!isOn} aria-live="polite">
      {text}
    </button>
  );
}

export const nameOf = (userId: string): string => userId.slice(0, 1).toUpperCase() + userId.slice(1);
