/** What all forms of an operator are made of. */
import { type FormEvent, type ReactNode, useState } from "react";
import type { Refused } from "../../api/venue";
import { decimal } from "../../live/money";
import type { Progress } from "../../live/order";
import * as say from "../../words/numbers";
import { plainly } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Icon } from "../frame/parts";
import { Sheet, SheetHead } from "../frame/sheet";

export type Close = { onClose: () => void };

type FormProps = Close & {
  title: string;
  button: string;
  isReady: boolean;
  refusal: Refused | null;
  isPending: boolean;
  isLost: boolean;
  send: () => Promise<void>;
  note?: string;
  children?: ReactNode;
};

export function Form({ title, button, isReady, refusal, isPending, isLost, send, note, onClose, children }: FormProps) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady && !isPending) void send();
  };
  return (
    <Sheet label={title} onClose={onClose}>
      <SheetHead title={title} onClose={onClose} />
      <form className="stack" onSubmit={submit} noValidate>
        {children}
        {note && <p className="under">{note}</p>}
        {(refusal || isLost) && (
          <p className="note bad" role="alert" data-testid="operator-refusal">
            <Icon name="note" />
            <span>{refusal ? said(refusal) : "No answer. Look whether it was done before you send it again."}</span>
          </p>
        )}
        <button className="btn big primary" data-testid="operator-submit" aria-disabled={!isReady || isPending}>
          {isPending ? "Sending…" : button}
        </button>
      </form>
    </Sheet>
  );
}

/** A refusal with the numbers that the venue compared: an operator can do something about them. */
function said(refusal: Refused): string {
  const hidden = new Set(["rule", "field", "reason"]);
  const facts = Object.entries(refusal.details).filter(([name]) => !hidden.has(name));
  const numbers = facts.map(([name, value]) => `${name} ${String(value)}`).join(", ");
  return numbers ? `${plainly(refusal)} (${numbers})` : plainly(refusal);
}

type FieldProps = {
  id: string;
  label: string;
  value: string;
  onType: (text: string) => void;
  unit?: string;
  isText?: boolean;
  isBad?: boolean;
};

export function Field({ id, label, value, onType, unit, isText = false, isBad = false }: FieldProps) {
  return (
    <div className="field" data-bad={isBad || undefined}>
      <label htmlFor={`op-${id}`}>{label}</label>
      <input
        id={`op-${id}`}
        data-testid={`op-${id}`}
        inputMode={isText ? "text" : "decimal"}
        autoComplete="off"
        spellCheck={false}
        value={value}
        aria-invalid={isBad}
        onChange={(event) => onType(event.target.value)}
      />
      {unit && <span className="unit">{unit}</span>}
    </div>
  );
}

/** Close the sheet and say so, if it was done. */
export function useEnd(onClose: () => void) {
  const { say: tell } = useDesk();
  return <T,>(verdict: Progress<T>, words: (answer: T) => { title: string; text?: string }) => {
    if (verdict.phase !== "done") return;
    tell({ kind: "done", ...words(verdict.answer) });
    onClose();
  };
}

export const isBad = (refusal: Refused | null, name: string): boolean =>
  refusal?.details["field"] === name || (refusal !== null && name in refusal.details);

export function Amount(props: {
  isOut: boolean;
  setOut: (isOut: boolean) => void;
  text: string;
  setText: (text: string) => void;
}) {
  return (
    <>
      <div className="seg" role="group" aria-label="Which way">
        {([false, true] as const).map((isOut) => (
          <button
            key={String(isOut)}
            type="button"
            aria-pressed={props.isOut === isOut}
            onClick={() => props.setOut(isOut)}
          >
            {isOut ? "Take out" : "Pay in"}
          </button>
        ))}
      </div>
      <Field id="amount" label="Amount" unit="USD" value={props.text} onType={props.setText} />
    </>
  );
}

/** An amount that goes in or out. */
export function useAmount(reset: () => void) {
  const [text, setText] = useState("");
  const [isOut, setOut] = useState(false);
  const amount = decimal(text);
  const isReady = amount !== null && Number(amount) > 0;
  const button = isReady ? `${isOut ? "Take out" : "Pay in"} ${say.money(amount)}` : "Type an amount";
  const change =
    <T,>(set: (to: T) => void) =>
    (to: T) => (reset(), set(to));
  return {
    amount: amount ?? "0",
    isOut,
    isReady,
    button,
    parts: { text, isOut, setText: change(setText), setOut: change(setOut) },
  };
}
