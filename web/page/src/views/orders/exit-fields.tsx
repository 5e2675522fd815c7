/** What an exit is for: how much of its position, and how far a trailing stop stays behind the mark. */
import Big from "big.js";
import type { Market } from "../../api/venue";
import type { LivePosition } from "../../hooks";
import { type Decimal, decimal } from "../../live/money";
import * as say from "../../words/numbers";
import type { Words } from "../../words/refusals";
import { NumberField, PercentChips, SHARES } from "../frame/field";
import { Bad } from "../ticket/exits";

const CALLBACKS = [0.5, 1, 2, 5] as const;

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
      <NumberField
        id="exit-share"
        label="How much"
        value={text}
        note="exit-share-note"
        {...{ isBad, isLocked, onType }}
      >
        <span className="unit">%</span>
      </NumberField>
      <PercentChips
        label="Share to close"
        all={SHARES}
        now={Number(percentage) * 100}
        onPick={onType}
        isLocked={isLocked}
      />
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
      <NumberField
        id="exit-callback"
        label="Behind the best price"
        value={text}
        note="exit-callback-note"
        {...{ isBad, isLocked, onType }}
      >
        <span className="unit">%</span>
      </NumberField>
      <PercentChips
        label="How far behind"
        all={CALLBACKS}
        now={Number(callback) * 100}
        onPick={onType}
        isLocked={isLocked}
      />
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
