/** What is one's own on the chart: entries, liquidation prices, and the exits, which a pointer can move. */
import { type AutoscaleInfo, type IPriceLine, LineStyle } from "lightweight-charts";
import { type RefObject, useEffect, useMemo, useRef, useState } from "react";
import type { Order } from "../../api/venue";
import { type LivePosition, useMarket, useOrders, useReplace, useTriggers, useUserPositions } from "../../hooks";
import { type Decimal, onTick, pnlNow, times } from "../../live/money";
import * as say from "../../words/numbers";
import { amountOf, isExitOf, isForNextPrice, ofOrder, typeName } from "../../words/orders";
import { ofExits } from "../../words/refusals";
import type { Parts } from "./chart";
import { useDesk } from "../frame/desk";
import { colour } from "../frame/theme";

const TIMES_PX = 26;
/** How far beyond the candles an own line may be and still widen the scale, in heights of the candles. */
const REACH = 0.4;
/** How near to a line a pointer takes hold of it. */
const GRAB_PX = 8;

type Kind = "entry" | "liq" | "tp" | "sl" | "order";
type Placed<K, T> = { readonly id: string; readonly kind: K; readonly price: Decimal; readonly of: T };
type Line =
  | Placed<Exclude<Kind, "order">, LivePosition>
  /** `from`: of an exit, the position that it leaves. */
  | (Placed<"order", Order> & { readonly from: LivePosition | undefined });
type Dragged = { readonly id: string; readonly price: Decimal };
export type Far = {
  readonly id: string;
  readonly kind: Kind;
  readonly name: string;
  readonly price: number;
  readonly where: "up" | "down";
};

export const NAMES = { entry: "Entry", liq: "Liquidation", tp: "Profit", sl: "Stop", order: "Order" } as const;

function linesOf(position: LivePosition, dragged: Dragged | null): Line[] {
  const { entryPrice, liquidationPrice, takeProfit, stopLoss } = position;
  const all = { entry: entryPrice, liq: liquidationPrice, tp: takeProfit, sl: stopLoss } as const;
  return (Object.entries(all) as [Exclude<Kind, "order">, Decimal | null][]).flatMap(([kind, price]) => {
    const id = `${position.id} ${kind}`;
    const shown = dragged?.id === id ? dragged.price : price;
    return shown === null ? [] : [{ id, kind, price: shown, of: position }];
  });
}

function lineOf(order: Order, dragged: Dragged | null, own: readonly LivePosition[]): Line {
  const id = `${order.id} order`;
  const from = own.find((position) => isExitOf(order, position.id));
  return { id, kind: "order", price: dragged?.id === id ? dragged.price : order.price, of: order, from };
}

const MOVES: ReadonlySet<Kind> = new Set(["tp", "sl", "order"]);

type At = { readonly ticker: string; readonly tickSize: string };
type Held<T> = { readonly current: T };

/** Draws own lines and keeps them where they belong. Gives the positions, and the lines that are off the scale. */
export function useOwnLines(
  parts: Held<Parts | null>,
  place: RefObject<HTMLDivElement>,
  at: At,
  theme: number,
): { readonly own: readonly LivePosition[]; readonly lines: readonly Line[] } {
  const positions = useUserPositions();
  const own = useMemo(() => (positions ?? []).filter(({ ticker }) => ticker === at.ticker), [positions, at.ticker]);
  const all = useOrders();
  const waiting = useMemo(
    () => (all ?? []).filter((one) => one.ticker === at.ticker && !isForNextPrice(one) && one.type !== "twap"),
    [all, at.ticker],
  );
  const [dragged, drag] = useState<Dragged | null>(null);
  const lines = useMemo(
    () => [...own.flatMap((one) => linesOf(one, dragged)), ...waiting.map((one) => lineOf(one, dragged, own))],
    [own, waiting, dragged],
  );
  useDrag(parts, place, lines, at, drag);
  const drawn = useRef(new Map<string, { line: IPriceLine; on: unknown; look: string }>());
  const scaled = useRef<{ on: unknown; prices: string }>({ on: null, prices: "" });
  useEffect(() => {
    const now = parts.current;
    if (now === null) return;
    const wanted = new Map(lines.map((line) => [line.id, lookOf(line)]));
    const there = drawn.current;
    for (const [name, { line, on }] of there)
      if (on !== now || !wanted.has(name)) {
        if (on === now) now.prices.removePriceLine(line);
        there.delete(name);
      }
    for (const [name, options] of wanted) {
      const [found, look] = [there.get(name), JSON.stringify(options)];
      if (found === undefined) there.set(name, { line: now.prices.createPriceLine(options), on: now, look });
      else if (found.look !== look) {
        found.line.applyOptions(options);
        found.look = look;
      }
    }
    const prices = lines.map(({ price }) => price).join(" ");
    if (scaled.current.on === now && scaled.current.prices === prices) return;
    scaled.current = { on: now, prices };
    now.prices.applyOptions({ autoscaleInfoProvider: (scale: () => AutoscaleInfo | null) => near(scale(), lines) });
  }, [lines, theme, parts, at.ticker, at.tickSize]);
  return { own, lines };
}

/** Take hold of an exit or of an order, move it, let go: then it is sent. A refusal puts it back and says why. Esc lets go of it. */
function useDrag(
  parts: Held<Parts | null>,
  place: RefObject<HTMLDivElement>,
  lines: readonly Line[],
  at: At,
  drag: (to: Dragged | null) => void,
): void {
  const { set } = useTriggers();
  const { replace } = useReplace();
  const { say: tell } = useDesk();
  const market = useMarket(at.ticker);
  const known = useRef({ lines, market });
  known.current = { lines, market };
  useEffect(() => {
    const here = place.current;
    if (here === null) return;
    let held: Line | null = null;
    let price: Decimal | null = null;
    const yOf = (event: PointerEvent) => event.clientY - here.getBoundingClientRect().top;
    const under = (event: PointerEvent): Line | null => {
      const y = yOf(event);
      const near = known.current.lines.filter((line) => {
        const { kind, price } = line;
        const moves = MOVES.has(kind) && !(kind === "order" && line.of.type === "trailing_stop");
        const there = moves ? parts.current?.prices.priceToCoordinate(Number(price)) : null;
        return there !== null && there !== undefined && Math.abs(there - y) <= GRAB_PX;
      });
      return near[0] ?? null;
    };
    const free = (isFree: boolean) => parts.current?.chart.applyOptions({ handleScroll: isFree, handleScale: isFree });
    const end = () => {
      held = price = null;
      free(true);
      here.classList.remove("grab");
    };
    const onDown = (event: PointerEvent) => {
      held = event.button === 0 ? under(event) : null;
      if (held === null) return;
      free(false);
      here.setPointerCapture(event.pointerId);
    };
    const onMove = (event: PointerEvent) => {
      if (held === null) return void here.classList.toggle("grab", under(event) !== null);
      const found = parts.current?.prices.coordinateToPrice(yOf(event));
      if (found === null || found === undefined) return;
      price = onTick(found, at.tickSize);
      drag({ id: held.id, price });
    };
    const onUp = async () => {
      const [moved, to] = [held, price];
      end();
      if (moved === null || to === null) return;
      const { market: now } = known.current;
      const { takeProfit, stopLoss, id } = moved.of;
      if (moved.kind === "order") {
        const verdict = await replace(id, { price: to });
        drag(null);
        if (verdict.phase === "refused" && now !== null)
          tell({ kind: "note", title: "Order not moved", text: ofOrder(verdict.refusal, now, moved.of).text });
        return;
      }
      const exits = moved.kind === "tp" ? { takeProfit: to, stopLoss } : { takeProfit, stopLoss: to };
      const verdict = await set(id, exits);
      drag(null);
      if (verdict.phase === "refused" && now !== null)
        tell({ kind: "note", title: `${NAMES[moved.kind]} not moved`, text: ofExits(verdict.refusal, now).text });
      if (verdict.phase === "done" && verdict.answer.warning)
        tell({ kind: "note", title: "Stop moved", text: "The position is liquidated before this stop." });
    };
    const letGo = () => {
      if (held !== null) drag(null);
      end();
    };
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && letGo();
    const onRelease = () => void onUp();
    here.addEventListener("pointerdown", onDown, true);
    here.addEventListener("pointermove", onMove);
    here.addEventListener("pointerup", onRelease);
    here.addEventListener("pointercancel", letGo);
    addEventListener("keydown", onKey);
    return () => {
      here.removeEventListener("pointerdown", onDown, true);
      here.removeEventListener("pointermove", onMove);
      here.removeEventListener("pointerup", onRelease);
      here.removeEventListener("pointercancel", letGo);
      removeEventListener("keydown", onKey);
    };
  }, [parts, place, at.tickSize, at.ticker, set, replace, tell, drag]);
}

/** Own lines that are off the scale: they stick to its edge. Liquidations come first, then what is nearest. */
export function farOf(parts: Parts | null, lines: readonly Line[], height: number): Far[] {
  if (parts === null || parts.prices.data().length === 0) return [];
  const floor = height - TIMES_PX;
  const last = parts.prices.data().at(-1) as { close?: number } | undefined;
  return lines
    .flatMap((line) => {
      const price = Number(line.price);
      const y = parts.prices.priceToCoordinate(price);
      if (y !== null && y >= 0 && y <= floor) return [];
      const name = line.kind === "order" ? typeName(line.of) : NAMES[line.kind];
      return [
        {
          id: line.id,
          kind: shadeOf(line),
          name,
          price,
          where: y !== null && y < 0 ? ("up" as const) : ("down" as const),
        },
      ];
    })
    .sort((a, b) => rank(a) - rank(b));
  function rank({ kind, price }: Far): number {
    return kind === "liq" ? -1 : Math.abs(price - (last?.close ?? 0));
  }
}

const LOOKS = {
  entry: { token: "accent", lineStyle: LineStyle.Solid, lineWidth: 1 },
  liq: { token: "warn", lineStyle: LineStyle.Solid, lineWidth: 2 },
  tp: { token: "up", lineStyle: LineStyle.Dashed, lineWidth: 1 },
  sl: { token: "down", lineStyle: LineStyle.Dashed, lineWidth: 1 },
  order: { token: "faint", lineStyle: LineStyle.Dashed, lineWidth: 1 },
} as const;

/** Exits by share look like those of the whole position. */
const shadeOf = (line: Line): Kind =>
  line.kind === "order" && line.of.reduceOnly ? (line.of.type === "take_profit" ? "tp" : "sl") : line.kind;

function lookOf(line: Line) {
  const kind = shadeOf(line);
  const { token, lineStyle, lineWidth } = LOOKS[kind];
  return {
    price: Number(line.price),
    color: colour(`--${token}`),
    axisLabelTextColor: colour(kind === "order" ? "--surface" : `--on-${token}`),
    lineStyle,
    lineWidth,
    title: titleOf(line),
  };
}

function titleOf(line: Line): string {
  const { kind, price, of } = line;
  const gain = (value: Decimal) => say.money(value, { isSigned: true });
  if (kind === "liq") return NAMES.liq;
  if (kind === "order" && line.from !== undefined)
    return `${typeName(of)} ${amountOf(of)} ${gain(times(pnlNow(line.from, price), of.percentage ?? "1"))}`;
  if (kind === "order") return `${of.side === "long" ? "▲" : "▼"} ${typeName(of)} ${amountOf(of)}`;
  if (kind === "entry") return `${of.side === "long" ? "▲ Long" : "▼ Short"} ${gain(of.pnl)}`;
  return `${NAMES[kind]} ${gain(pnlNow(of, price))}`;
}

/** The scale, with own lines in it that are not far off: they would press the candles flat. */
function near(info: AutoscaleInfo | null, lines: readonly Line[]): AutoscaleInfo | null {
  const range = info?.priceRange;
  if (!info || !range) return info;
  let { minValue, maxValue } = range;
  const reach = Math.max(maxValue - minValue, maxValue * 0.002) * REACH;
  for (const value of lines.map(({ price }) => Number(price))) {
    if (value < minValue && minValue - value < reach) minValue = value;
    if (value > maxValue && value - maxValue < reach) maxValue = value;
  }
  return { ...info, priceRange: { minValue, maxValue } };
}
