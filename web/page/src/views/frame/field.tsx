/** A field for a number, and the shares that are one click away. */
import type { ReactNode } from "react";
import * as say from "../../words/numbers";

type FieldProps = {
  readonly id: string;
  /** The handle of tests, where it is not the id. */
  readonly testid?: string;
  readonly label: string;
  readonly value: string;
  readonly isWhole?: boolean;
  readonly isBad: boolean;
  readonly isLocked: boolean;
  /** The id of the text that describes it. */
  readonly note: string;
  readonly onType: (text: string) => void;
  readonly onLeave?: () => void;
  /** Its unit. */
  readonly children?: ReactNode;
};

export function NumberField({ id, testid = id, label, value, isBad, isLocked, note, ...more }: FieldProps) {
  const { isWhole = false, onType, onLeave, children } = more;
  return (
    <div className="field" data-bad={isBad || undefined}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        data-testid={testid}
        inputMode={isWhole ? "numeric" : "decimal"}
        autoComplete="off"
        value={value}
        disabled={isLocked}
        aria-invalid={isBad}
        aria-describedby={note}
        onChange={(event) => onType(event.target.value)}
        onFocus={(event) => event.target.select()}
        onBlur={onLeave}
      />
      {children}
    </div>
  );
}

type ChipsProps = {
  readonly label: string;
  readonly all: readonly number[];
  readonly now: number;
  readonly onPick: (text: string) => void;
  readonly isLocked: boolean;
};

/** Shares in per cent. */
export function PercentChips({ label, all, now, onPick, isLocked }: ChipsProps) {
  return (
    <div className="chips" role="group" aria-label={label}>
      {all.map((percent) => (
        <button
          key={percent}
          type="button"
          aria-pressed={now === percent}
          disabled={isLocked}
          onClick={() => onPick(say.plain(percent))}
        >
          {percent === 100 ? "All" : `${say.plain(percent)} %`}
        </button>
      ))}
    </div>
  );
}

/** How much of a position to close. */
export const SHARES = [25, 50, 75, 100] as const;
