/** What the ticket has for every kind of order: its side, its kind, its size, and the button. */
import Big from "big.js";
import type { Market, Side } from "../../api/venue";
import { useConnection, useDemoPeople, useSession, useTab } from "../../hooks";
import type { Decimal } from "../../live/money";
import type { Progress } from "../../live/order";
import * as say from "../../words/numbers";
import type { Words } from "../../words/refusals";
import { Bad } from "./exits";
import { Tri, arrows } from "../frame/parts";
import { wayOf } from "../positions/waiting";
import type { Draft } from "./draft";

const SHARES = [0.1, 0.25, 0.5, 0.75, 1] as const;
export const KINDS = ["market", "limit", "stop", "twap"] as const;
export type Kind = (typeof KINDS)[number];
const NAMES: Readonly<Record<Kind, readonly [name: string, what: string]>> = {
  market: ["Market", "Now, at the price there is."],
  limit: ["Limit", "Waits for a better price."],
  stop: ["Stop", "Waits until the price goes its way."],
  twap: ["TWAP", "In parts, one after the other, so that it moves the price less."],
};

export function Sides({ side, onPick, isLocked }: { side: Side; onPick: (side: Side) => void; isLocked: boolean }) {
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

/** When the order trades: at once, or when its price comes. */
export function Kinds({ kind, onPick }: { kind: Kind; onPick: (kind: Kind) => void }) {
  return (
    <div className="seg kinds" role="radiogroup" aria-label="Kind of order" onKeyDown={arrows}>
      {KINDS.map((name) => (
        <button
          key={name}
          type="button"
          role="radio"
          data-testid={`ticket-type-${name}`}
          aria-checked={kind === name}
          tabIndex={kind === name ? 0 : -1}
          title={NAMES[name][1]}
          onClick={() => onPick(name)}
        >
          {NAMES[name][0]}
        </button>
      ))}
    </div>
  );
}

type SizeProps = {
  market: Market;
  draft: Draft;
  /** At which price the size is counted in base units. */
  at: Decimal;
  /** The most that the wallet carries; null: nobody has signed in. */
  most: Decimal | null;
  isLocked: boolean;
  words: Words | null;
};

export function SizeField({ market, draft, at, most, isLocked, words }: SizeProps) {
  const { size, amount } = draft;
  const isBad = words?.field === "size";
  return (
    <div>
      <div className="field" data-bad={isBad || undefined}>
        <label htmlFor="size">Size</label>
        <input
          id="size"
          data-testid="ticket-size"
          inputMode="decimal"
          autoComplete="off"
          value={size}
          disabled={isLocked}
          aria-describedby="size-note"
          aria-invalid={isBad || amount === null}
          onChange={(event) => draft.setTyped(event.target.value)}
          onFocus={(event) => event.target.select()}
          onBlur={() => amount !== null && draft.setSize(amount)}
        />
        <span className="unit">USD</span>
      </div>
      {most !== null && (
        <div className="chips" role="group" aria-label="Share of what you can afford">
          {SHARES.map((share) => (
            <button
              key={share}
              type="button"
              disabled={isLocked}
              onClick={() => draft.setSize(Big(most).times(share).round(Number(most) < 10 ? 2 : 0, Big.roundDown).toFixed())} // prettier-ignore
            >
              {share === 1 ? "Max" : `${share * 100} %`}
            </button>
          ))}
        </div>
      )}
      {market.maxNotionalPerUser !== null && (
        <p className="under">One person may hold {say.plain(market.maxNotionalPerUser)} here.</p>
      )}
      {isBad ? (
        <Bad words={words} onUse={draft.use} id="size-note" />
      ) : (
        <p className="under row" id="size-note">
          {amount === null ? (
            <span>Type an amount, such as 1,000</span>
          ) : (
            <span>
              {say.quantity(Number(amount) / Number(at), market.lotSize)} {say.base(market.ticker)}
            </span>
          )}
          {most !== null && (
            <span>
              most at {draft.leverage}×: {say.plain(most)}
            </span>
          )}
        </p>
      )}
    </div>
  );
}

type GoProps = {
  side: Side;
  /** What it will do, with the numbers; or why not. */
  text: string;
  isReady: boolean;
  /** How far the command is. `waiting`: the venue has taken it, and decides it at the next price. */
  progress: Progress<unknown>["phase"];
};

/** The button says what it will do, with the numbers. */
export function Go({ side, text, isReady, progress }: GoProps) {
  const session = useSession();
  const people = useDemoPeople();
  const { isStale } = useConnection();
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
  const said = session === null ? "Sign in to trade" : (wayOf(progress) ?? (isStale ? "Waiting for the venue" : text));
  const isOn = isReady || session === null;
  const shade =
    session === null ? "primary" : isOn || progress === "sending" ? (side === "long" ? "go-up" : "go-down") : "";
  return (
    <button className={`btn big ${shade}`} data-testid="ticket-submit" aria-disabled={!isOn} aria-live="polite">
      {said}
    </button>
  );
}

export const nameOf = (userId: string): string => userId.slice(0, 1).toUpperCase() + userId.slice(1);
