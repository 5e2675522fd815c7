/** The small parts that everything is drawn with. */
import { type CSSProperties, type KeyboardEvent, type ReactNode, useEffect, useRef } from "react";
import { type Decimal, sign } from "../../live/money";
import * as say from "../../words/numbers";

const PATHS = {
  star: "m8 1.8 1.9 3.9 4.3.6-3.1 3 .7 4.3L8 11.6l-3.8 2 .7-4.3-3.1-3 4.3-.6z",
  find: "M2.500 7a4.500 4.500 0 1 0 9 0a4.500 4.500 0 1 0-9 0M10.500 10.500 14 14",
  theme: "M8 2a6 6 0 1 0 0 12a6 6 0 0 0 0-12M8 2v12",
  down: "m4 6 4 4 4-4",
  x: "m4 4 8 8m0-8-8 8",
  note: "M8 1.8 14.7 14H1.3zM8 6.500v3.500M8 12v.1",
  info: "M8 1.8a6.200 6.200 0 1 0 0 12.400a6.200 6.200 0 0 0 0-12.400M8 7.200v3.600M8 5v.1",
  done: "M8 1.8a6.200 6.200 0 1 0 0 12.400a6.200 6.200 0 0 0 0-12.400M5.200 8.200l2 2 3.600-4",
  list: "M2.500 4h11M2.500 8h11M2.500 12h11",
  candle: "M5 2v2m0 6v4M3.500 4h3v6h-3zM11 2v4m0 5v3M9.500 6h3v5h-3z",
  purse: "M2 4.500h11.500v9H2zM2 4.500l9-2v2M10.500 9v.1",
  go: "m6 4 4 4-4 4",
  case: "M2 5.500h12v8H2zM6 5.500V3h4v2.500",
  plus: "M8 3v10M3 8h10",
} as const;

export function Icon({ name, className = "" }: { name: keyof typeof PATHS; className?: string }) {
  return (
    <svg className={`i ${className}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Brand() {
  return (
    <svg
      viewBox="0 0 20 20"
      aria-hidden="true"
      fill="none"
      strokeWidth="2.4"
      strokeLinejoin="round"
      strokeLinecap="round"
    >
      <path d="M2 16 8.2 4l2.6 5" stroke="var(--up)" />
      <path d="m18 4-6.2 12-2.6-5" stroke="var(--down)" />
    </svg>
  );
}

/** Custom properties, set through the DOM: the page's policy allows no style attributes. */
export const vars = (values: Record<`--${string}`, string>): CSSProperties => values as CSSProperties;

export const tone = (value: Decimal | number): "up" | "down" | "faint" =>
  sign(String(value)) > 0 ? "up" : sign(String(value)) < 0 ? "down" : "faint";

/** The triangle that says a direction without colour. */
export const Tri = ({ isDown = false }: { isDown?: boolean }) => <i className={isDown ? "tri dn" : "tri"} />;

/** A gain or a loss: sign, colour, and the exact value for whoever wants it. */
export function Gain({ value, id, label }: { value: Decimal; id?: string; label?: string }) {
  return (
    <b className={tone(value)} data-value={value} data-testid={id} aria-label={label}>
      {say.money(value, { isSigned: true })}
    </b>
  );
}

/** Funding as what it did to the wallet: what was paid is below 0. */
export const paid = (funding: Decimal): string => say.money(-Number(funding), { isSigned: true });

/** How often the ground of one text fades, at most; and how many texts begin to fade within a second. */
const FADE_EVERY_MS = 1_000;
const FADES_MAX = 12;
/** When the newest fades began. */
const begun: number[] = [];
let fadeMs: number | null = null;

/** Whether one more may fade: when everything changes at once, fading says nothing and costs each frame. */
function mayFade(now: number): boolean {
  while (begun[0] !== undefined && now - begun[0] > FADE_EVERY_MS) begun.shift();
  if (begun.length >= FADES_MAX) return false;
  begun.push(now);
  return true;
}

/** Text whose ground fades when it changes, at most once a second. */
export function Fading({ children, className }: { children: string; className?: string }) {
  const here = useRef<HTMLSpanElement>(null);
  const last = useRef({ text: children, at: 0 });
  useEffect(() => {
    const { text, at } = last.current;
    if (text === children) return;
    const now = performance.now();
    const isDue = now - at > FADE_EVERY_MS && mayFade(now);
    last.current = { text: children, at: isDue ? now : at };
    if (!isDue) return;
    fadeMs ??= parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--fade"));
    if (fadeMs > 0)
      here.current?.animate?.([{ background: "var(--accent-soft)" }, { background: "transparent" }], fadeMs);
  }, [children]);
  return (
    <span ref={here} className={className}>
      {children}
    </span>
  );
}

/** Arrows move among the buttons of a group, as in any radio group or list of tabs. */
export function arrows(event: KeyboardEvent<HTMLElement>): void {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (step === undefined) return;
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>("[role=radio], [role=tab]")];
  const next = all[(all.indexOf(document.activeElement as HTMLElement) + step + all.length) % all.length];
  event.preventDefault();
  next?.focus();
  next?.click();
}

/** Tabs; only the chosen one is in the order of the Tab key. */
export function Tabs<T extends string>(props: {
  label: string;
  all: readonly { readonly name: T; readonly title: ReactNode; readonly className?: string }[];
  now: T;
  onPick: (name: T) => void;
}) {
  return (
    <div className="tabs" role="tablist" aria-label={props.label} onKeyDown={arrows}>
      {props.all.map(({ name, title, className }) => (
        <button
          key={name}
          role="tab"
          aria-selected={name === props.now}
          tabIndex={name === props.now ? 0 : -1}
          className={className}
          onClick={() => props.onPick(name)}
        >
          {title}
        </button>
      ))}
    </div>
  );
}
