import Big from "big.js";
import { type FormEvent, useEffect, useState } from "react";
import { NoAnswer, Refused } from "../../api/venue";
import {
  type LivePosition,
  useClose,
  useDemoPeople,
  useHolder,
  useMarket,
  useTab,
  useTransactions,
  useUserPositions,
  useWalletBalance,
} from "../../hooks";
import { NobodysKey } from "../../live/session";
import * as say from "../../words/numbers";
import { plainly } from "../../words/refusals";
import { SideTag } from "./sidetag";
import { useDesk } from "./desk";
import { EditSheet } from "../positions/edit";
import { CloseAllSheet, OrderSheet } from "./later";
import { Gain, Icon } from "./parts";
import { Sheet, SheetHead } from "./sheet";
import { Switcher } from "../market/switcher";
import { MoneyTable } from "../portfolio/tables";
import { nameOf } from "../ticket/fields";
import { WAITING, ofWaiting } from "../positions/waiting";

/** Whatever sheet is open. */
export function Sheets() {
  const { sheet, show } = useDesk();
  const close = () => show(null);
  if (sheet === null) return null;
  if (sheet.name === "signin") return <SignIn onClose={close} />;
  if (sheet.name === "switcher") return <Switcher />;
  if (sheet.name === "wallet") return <Wallet onClose={close} />;
  if (sheet.name === "edit") return <EditSheet id={sheet.positionId} first={sheet.tab ?? "exits"} onClose={close} />;
  if (sheet.name === "close") return <CloseSheet id={sheet.positionId} onClose={close} />;
  if (sheet.name === "close-all") return <CloseAllSheet onClose={close} />;
  if (sheet.name === "order") return <OrderSheet id={sheet.orderId} onClose={close} />;
  return <Keys onClose={close} />;
}

function SignIn({ onClose }: { onClose: () => void }) {
  const { sessions, venue } = useTab();
  const people = useDemoPeople();
  const [key, setKey] = useState("");
  const [problem, setProblem] = useState("");
  const signIn = async (with_: string) => {
    setProblem("");
    try {
      await sessions.signIn(venue, with_);
      onClose();
      if (sessions.trader() === null) location.hash = "/operator";
    } catch (error) {
      setProblem(why(error));
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (key.trim()) void signIn(key.trim());
  };
  return (
    <Sheet label="Sign in" onClose={onClose}>
      <SheetHead title="Who is trading?" onClose={onClose} />
      {people.length > 0 && (
        <>
          <p className="muted">This is the demo. The money is pretend; the prices move.</p>
          {people.map((person, at) => (
            <button
              key={person.userId}
              className={at ? "who" : "who first"}
              data-testid={`sign-in-demo-${person.userId}`}
              onClick={() => void signIn(person.key)}
            >
              <span className="avatar" aria-hidden="true">
                {nameOf(person.userId).slice(0, 1)}
              </span>
              <b>Trade as {nameOf(person.userId)}</b>
              <Icon name="go" />
            </button>
          ))}
          <div className="or">or use a key of your own</div>
        </>
      )}
      <form onSubmit={submit}>
        <div className="field" data-bad={problem !== "" || undefined}>
          <label htmlFor="key">Key</label>
          <input
            id="key"
            data-testid="sign-in-key"
            className="left"
            type="password"
            autoComplete="off"
            spellCheck={false}
            value={key}
            aria-describedby="key-note"
            onChange={(event) => setKey(event.target.value)}
          />
          <button className="link">Sign in</button>
        </div>
        {problem && (
          <p className="note bad" role="alert">
            <Icon name="note" />
            <span>{problem}</span>
          </p>
        )}
        <p className="under" id="key-note">
          Kept in this tab only and forgotten when you close it. Your operator hands out keys.
        </p>
      </form>
    </Sheet>
  );
}

function why(error: unknown): string {
  if (error instanceof NobodysKey)
    return "This key trades for nobody and does not run the venue. Ask for one of a user, with the scope trade.";
  if (error instanceof Refused && error.code === "unauthorized") return "This key is not known or has ended.";
  if (error instanceof Refused) return error.message;
  if (error instanceof NoAnswer) return "The venue does not answer. Try again in a moment.";
  throw error;
}

const SHARES = [25, 50, 75, 100] as const;

function CloseSheet({ id, onClose }: { id: string; onClose: () => void }) {
  const position = useUserPositions()?.find((one) => one.id === id);
  const { say: tell } = useDesk();
  const [last, setLast] = useState(position);
  useEffect(() => {
    if (position !== undefined) setLast(position);
  }, [position]);
  const order = useClose();
  useEffect(() => {
    if (position === undefined && order.progress.phase === "idle") onClose();
  }, [position, order.progress.phase, onClose]);
  if (last === undefined) return null;
  const close = async (percentage: string) => {
    const verdict = await order.close(id, { percentage });
    if (verdict.phase === "waiting") return (tell(ofWaiting(verdict.order)), onClose());
    if (verdict.phase !== "done") return;
    const { fill, pnl, netSettlement, position: left } = verdict.answer;
    const name = say.base(left.ticker);
    tell({
      kind: "done",
      title: `${left.status === "open" ? "Part of" : ""} ${name} closed`.trim(),
      text: `${say.money(fill.notional)} at ${say.money(fill.price)}: ${say.money(pnl, { isSigned: true })}. You got ${say.money(netSettlement)}.`,
    });
    onClose();
  };
  return <CloseForm position={last} order={order} onClose={onClose} close={(share) => void close(share)} />;
}

type CloseProps = {
  position: LivePosition;
  order: ReturnType<typeof useClose>;
  onClose: () => void;
  close: (share: string) => void;
};

function CloseForm({ position, order, onClose, close }: CloseProps) {
  const market = useMarket(position.ticker);
  const [text, setText] = useState("100");
  const typed = /^\d{1,3}([.,]\d{0,4})?$/.test(text) ? Number(text.replace(",", ".")) : NaN;
  const isRight = typed > 0 && typed <= 100;
  const share = Big(isRight ? typed : 0).div(100);
  const notional = Big(position.quantity)
    .times(market?.currentPrice ?? position.mark)
    .times(share);
  const [gain, fee, back] = [
    share.times(position.pnl),
    notional.times(market?.takerFee ?? "0"),
    share.times(position.margin),
  ];
  const gets = back.plus(gain).minus(fee);
  const lot = market?.lotSize ?? "0.0001";
  const name = say.base(position.ticker);
  const what =
    typed === 100 ? "Close all" : typed === 50 ? "Close half" : `Close ${isRight ? say.plain(typed) : "–"} %`;
  const { progress, isPending } = order;
  const button =
    progress.phase === "sending"
      ? "Sending…"
      : progress.phase === "retrying"
        ? "No answer yet, trying again"
        : progress.phase === "waiting"
          ? WAITING
          : `${what}, get about ${say.money(gets.toFixed(2))}`;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isRight && !isPending) close(share.toFixed());
  };
  return (
    <Sheet label={`Close ${name}`} onClose={onClose}>
      <SheetHead title={`Close ${name}`} onClose={onClose}>
        <SideTag position={position} />
      </SheetHead>
      <form className="stack" onSubmit={submit}>
        <div>
          <div className="field" data-bad={!isRight || undefined}>
            <label htmlFor="share">How much</label>
            <input
              id="share"
              data-testid="close-share"
              inputMode="decimal"
              autoComplete="off"
              value={text}
              disabled={isPending}
              onChange={(event) => setText(event.target.value)}
              onFocus={(event) => event.target.select()}
            />
            <span className="unit">%</span>
          </div>
          <div className="chips" role="group" aria-label="Share to close">
            {SHARES.map((percent) => (
              <button
                key={percent}
                type="button"
                aria-pressed={typed === percent}
                disabled={isPending}
                onClick={() => setText(String(percent))}
              >
                {percent === 100 ? "All" : `${percent} %`}
              </button>
            ))}
          </div>
          <p className="under row">
            <span>
              {say.quantity(share.times(position.quantity).toFixed(), lot)} of {say.quantity(position.quantity, lot)}{" "}
              {name}
            </span>
          </p>
        </div>
        <dl className="preview">
          <div>
            <dt>Price now</dt>
            <dd>{say.price(market?.currentPrice ?? position.mark, market?.tickSize ?? "0.01")}</dd>
          </div>
          <div>
            <dt>{gain.lt(0) ? "Loss" : "Gain"}, about</dt>
            <dd>
              <Gain value={gain.toFixed(6)} />
            </dd>
          </div>
          <div>
            <dt>Fee, about</dt>
            <dd>{say.money(fee.toFixed(6))}</dd>
          </div>
          <div>
            <dt>Margin back</dt>
            <dd>{say.money(back.toFixed(6))}</dd>
          </div>
        </dl>
        {progress.phase === "refused" && (
          <p className="note bad" role="alert">
            <Icon name="note" />
            <span>{plainly(progress.refusal, market)}</span>
          </p>
        )}
        <button className="btn big primary" data-testid="close-submit" aria-disabled={!isRight || isPending}>
          {button}
        </button>
      </form>
    </Sheet>
  );
}

function Wallet({ onClose }: { onClose: () => void }) {
  const holder = useHolder();
  const { sessions } = useTab();
  const wallet = useWalletBalance();
  const { transactions, isLoading } = useTransactions();
  const out = () => {
    sessions.signOut();
    onClose();
  };
  if (holder === null) return <SignIn onClose={onClose} />;
  if (holder.userId === null)
    return (
      <Sheet label="Operator" onClose={onClose}>
        <SheetHead title="Operator" onClose={onClose} />
        <p className="muted">
          This key runs the venue and trades for nobody. To trade, sign in with a key that belongs to a user.
        </p>
        <button className="btn" onClick={out}>
          Sign out
        </button>
      </Sheet>
    );
  return (
    <Sheet label="Wallet" onClose={onClose}>
      <SheetHead title={nameOf(holder.userId)} onClose={onClose} />
      {wallet && (
        <dl className="preview">
          <div>
            <dt>Available</dt>
            <dd>{say.spendable(wallet.available)}</dd>
          </div>
          <div>
            <dt>In margin</dt>
            <dd>{say.money(wallet.margin)}</dd>
          </div>
          <div>
            <dt>Unrealised</dt>
            <dd>
              <Gain value={wallet.unrealized} />
            </dd>
          </div>
          <div>
            <dt>Lifetime PnL, before fees</dt>
            <dd>
              <Gain value={wallet.lifetimePnL} />
            </dd>
          </div>
          <div>
            <dt>Fees so far</dt>
            <dd>{say.money(wallet.totalFees)}</dd>
          </div>
          <div className="liqrow">
            <dt>Equity</dt>
            <dd>{say.money(wallet.equity)}</dd>
          </div>
        </dl>
      )}
      <a className="link" href="#/portfolio" onClick={onClose}>
        Portfolio: how your equity went, history, files
      </a>
      <section>
        <h3 className="sub">Transactions</h3>
        <div className="over short" role="region" aria-label="Transactions" tabIndex={0}>
          <MoneyTable rows={transactions} isShort />
          {transactions.length === 0 && <p className="empty">{isLoading ? "Reading…" : "Nothing has moved yet."}</p>}
        </div>
      </section>
      <button className="btn" onClick={out}>
        Sign out
      </button>
    </Sheet>
  );
}

const KEYS: readonly (readonly [string, string])[] = [
  ["/", "Find a market"],
  ["L  S", "Long, short, and into the size"],
  ["M  I  T", "Market, limit, stop"],
  ["[  ]", "Less, more leverage"],
  ["1 – 6", "Interval of the chart"],
  ["W", "Wallet"],
  ["Esc", "Close what is on top"],
  ["?", "This list"],
];

function Keys({ onClose }: { onClose: () => void }) {
  return (
    <Sheet label="Keyboard" onClose={onClose}>
      <SheetHead title="Keyboard" onClose={onClose} />
      <dl className="preview">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>{what}</dt>
            <dd>
              <kbd>{key}</kbd>
            </dd>
          </div>
        ))}
      </dl>
      <p className="under">
        Charts: TradingView Lightweight Charts™, Copyright © 2025 TradingView, Inc.{" "}
        <a className="link" href="https://www.tradingview.com/" target="_blank" rel="noreferrer">
          tradingview.com
        </a>
      </p>
    </Sheet>
  );
}
