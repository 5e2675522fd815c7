/** The curve of what a user had: where its points lie, and what it says. Pure. */
import type { EquityPoint } from "../api/venue";
import { type Decimal, minus } from "./money";

export type Curve = {
  /** Shares of the width and of the height, from the left and from the top; oldest first. */
  readonly equity: readonly (readonly [x: number, y: number])[];
  readonly paidIn: readonly (readonly [x: number, y: number])[];
  readonly marks: readonly { readonly y: number; readonly value: number }[];
  readonly times: readonly { readonly x: number; readonly at: number }[];
};

const MARKS = 4;
const TIMES = 5;
const STEPS = [1, 2, 2.5, 5, 10];

/** A step that reads well: at most `count` of them between two values. */
export function stepOf(low: number, high: number, count: number): number {
  const rough = (high - low) / count || 1;
  const unit = 10 ** Math.floor(Math.log10(rough));
  return unit * (STEPS.find((step) => step * unit >= rough) ?? 10);
}

/** `points` oldest first, at least two at different times; null: there is nothing to draw yet. */
export function curveOf(points: readonly EquityPoint[]): Curve | null {
  const read = points.map(({ at, equity, paidIn }) => [Date.parse(at), Number(equity), Number(paidIn)] as const);
  const [first, last] = [read[0], read.at(-1)];
  if (first === undefined || last === undefined || first[0] >= last[0]) return null;
  const values = read.flatMap(([, equity, paid]) => [equity, paid]);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const pad = Math.max((most - least) * 0.08, Math.abs(most) * 0.0005, 0.01);
  const [low, high] = [least - pad, most + pad];
  const x = (at: number) => (at - first[0]) / (last[0] - first[0]);
  const y = (value: number) => (high - value) / (high - low);
  const step = stepOf(low, high, MARKS);
  const marks = Array.from({ length: 12 }, (_, at) => (Math.ceil(low / step) + at) * step)
    .filter((value) => value <= high)
    .map((value) => ({ value, y: y(value) }));
  const paidIn = read.flatMap(([at, , paid], n): [number, number][] => {
    const before = read[n - 1];
    return before === undefined || before[2] === paid ? [[x(at), y(paid)]] : [[x(at), y(before[2])], [x(at), y(paid)]]; // prettier-ignore
  });
  const times = Array.from({ length: TIMES }, (_, at) => at / (TIMES - 1)).map((share) => ({
    x: share,
    at: first[0] + share * (last[0] - first[0]),
  }));
  return { equity: read.map(([at, equity]) => [x(at), y(equity)]), paidIn, marks, times };
}

/** What has been gained from the first point to the last: no deposit looks like a gain. Oldest first. */
export function gained(points: readonly EquityPoint[]): Decimal {
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined) return "0";
  return minus(minus(last.equity, last.paidIn), minus(first.equity, first.paidIn));
}
