/** Numbers and times as people read them: their own grouping, a true minus, always the same number of decimals. */
import type { Decimal } from "../live/money";

const formats = new Map<string, Intl.NumberFormat>();

function format(decimals: number, options: Intl.NumberFormatOptions = {}): Intl.NumberFormat {
  const name = `${decimals}${JSON.stringify(options)}`;
  const found = formats.get(name);
  if (found !== undefined) return found;
  const fixed = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  const made = new Intl.NumberFormat(undefined, { ...fixed, ...options });
  formats.set(name, made);
  return made;
}

/** Exact: decimal text never becomes a float on its way. */
function say(value: Decimal | number, decimals: number, options?: Intl.NumberFormatOptions): string {
  return format(decimals, options)
    .format(value as number)
    .replace("-", "−");
}

export type Signed = { readonly isSigned?: boolean };

const SIGNED: Intl.NumberFormatOptions = { signDisplay: "exceptZero" };

/** USD: `1,048.40`. */
export function money(value: Decimal | number, { isSigned = false }: Signed = {}): string {
  return say(value, 2, isSigned ? SIGNED : { signDisplay: "negative" });
}

/** What may be spent: never more than there is. */
export function spendable(value: Decimal): string {
  return say(value, 2, { roundingMode: "trunc", signDisplay: "negative" } as Intl.NumberFormatOptions);
}

/** How many decimals a step has: 2 of `0.01`. */
export function decimalsOf(step: Decimal): number {
  return step.includes(".") ? step.length - step.indexOf(".") - 1 : 0;
}

export function price(value: Decimal | number, tick: Decimal): string {
  return say(value, Math.max(2, decimalsOf(tick)));
}

/** Base units, without zeros at the end. */
export function quantity(value: Decimal | number, lot: Decimal): string {
  return format(decimalsOf(lot), { minimumFractionDigits: 0 }).format(value as number);
}

/** A share as per cent: 0.05 is `5.0 %`. */
export function percent(value: number, decimals = 2, { isSigned = false }: Signed = {}): string {
  return `${say(value * 100, decimals, isSigned ? SIGNED : { signDisplay: "negative" })} %`;
}

/** Large sums in short: `1.84 M`. */
export function compact(value: Decimal | number): string {
  const size = Math.abs(Number(value));
  for (const [least, unit] of [
    [1e9, "bn"],
    [1e6, "M"],
    [1e4, "k"],
  ] as const)
    if (size >= least) {
      const scaled = Number(value) / least / (unit === "k" ? 0.1 : 1);
      return `${say(scaled, Math.abs(scaled) < 100 ? 2 : 1)} ${unit}`;
    }
  return say(value, size < 100 ? 2 : 0);
}

/** Without zeros at the end, and all that the venue keeps of a number: what a field begins with is what it was. */
export const exactly = (value: Decimal): string => format(9, { minimumFractionDigits: 0 }).format(value as never);

/** A size as it was typed: `1,000`, `12.5`. */
export function plain(value: Decimal | number): string {
  return format(2, { minimumFractionDigits: 0 }).format(value as number);
}

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

export const time = (at: string | number): string => TIME.format(new Date(at));
export const day = (at: string | number): string => DAY.format(new Date(at));
/** For a tooltip: with date and zone. */
export const moment = (at: string | number): string => WHOLE.format(new Date(at));

/** `9:05`, `1:09:05`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (part: number) => String(part).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${two(m)}:${two(s)}`;
}

/** A duration in words: `45 s`, `55 min`, `2 h 30 min`. */
export function lasting(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 120) return `${minutes} min`;
  const [hours, rest] = [Math.floor(minutes / 60), minutes % 60];
  return rest === 0 ? `${hours} h` : `${hours} h ${rest} min`;
}

/** `HELIO` of `HELIO-PERP`. */
export const base = (ticker: string): string => ticker.replace(/-PERP$/, "");
