/** What an exit is for: how much of its position, and how far a trailing stop stays behind the mark. */
import Big from "big.js";
import type { Market } from "../../api/venue";
import type { LivePosition } from "../../hooks";
import { type Decimal, decimal } from "../../live/money";
import * as say from "../../words/numbers";
import type { Words } from "../../words/refusals";
import { Bad } from "../ticket/exits";

const SHARES = [25, 50, 75, 100] as const;
const CALLBACKS = ["0.5", "1", "2", "5"] as const;

/** A share as it is typed in per cent, as the venue takes it; null: it is none. */
export function shareOf(text: string): Decimal | null {
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

export function ShareField({ position, market, text, percentage, onType, isLocked, words }: ShareProps) {
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

type CallbackProps = {
  readonly text: string;
  readonly callback: Decimal | null;
  readonly onType: (text: string) => void;
  readonly isLocked: boolean;
  readonly words: Words | null;
  /** What it does, in a sentence. */
  readonly note: string;
};

/** How far the mark comes back from its best before a trailing stop leaves. */
export function CallbackField({ text, callback, onType, isLocked, words, note }: CallbackProps) {
  const isBad = words?.field === "callback" || callback === null;
  return (
    <div>
      <div className="field" data-bad={isBad || undefined}>
        <label htmlFor="exit-callback">Behind the best price</label>
        <input
          id="exit-callback"
          data-testid="exit-callback"
          inputMode="decimal"
          autoComplete="off"
          value={text}
          disabled={isLocked}
          aria-invalid={isBad}
          aria-describedby="exit-callback-note"
          onChange={(event) => onType(event.target.value)}
          onFocus={(event) => event.target.select()}
        />
        <span className="unit">%</span>
      </div>
      <div className="chips" role="group" aria-label="How far behind">
        {CALLBACKS.map((percent) => (
          <button
            key={percent}
            type="button"
            aria-pressed={Number(callback) * 100 === Number(percent)}
            disabled={isLocked}
            onClick={() => onType(say.plain(percent))}
          >
            {say.plain(percent)} %
          </button>
        ))}
      </div>
      {words?.field === "callback" ? (
        <Bad words={words} id="exit-callback-note" />
      ) : (
        <p className="under" id="exit-callback-note">
          {callback === null ? "Type how far, more than 0 and less than 100" : note}
        </p>
      )}
    </div>
  );
}
