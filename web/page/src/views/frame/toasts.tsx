import { useEffect, useRef } from "react";
import { useConnection, useEndedOrders, useFills, useTab } from "../../hooks";
import * as say from "../../words/numbers";
import { endOf } from "../../words/orders";
import { type Toast, useDesk } from "./desk";
import { Icon } from "./parts";

const SHOWN_MS = 5_000;
const EXITS = { take_profit: "take-profit", stop_loss: "stop", trailing_stop: "trailing stop" } as const;

/** What is said in passing: five seconds, longer under the pointer; what matters stays until it is closed. */
export function Toasts() {
  const { toasts, forget } = useDesk();
  useNews();
  useOrderNews();
  return (
    <div className="toasts" role="status" aria-live="polite">
      {toasts.map((toast) => (
        <Card key={toast.id} toast={toast} forget={forget} />
      ))}
    </div>
  );
}

function Card({ toast, forget }: { toast: Toast; forget: (id: number) => void }) {
  const left = useRef<ReturnType<typeof setTimeout>>(undefined);
  const begin = () => {
    clearTimeout(left.current);
    if (!toast.stays) left.current = setTimeout(() => forget(toast.id), SHOWN_MS);
  };
  const hold = () => clearTimeout(left.current);
  useEffect(() => {
    begin();
    return hold;
  }, []);
  return (
    <div
      className="toast"
      data-testid="toast"
      onPointerEnter={hold}
      onPointerLeave={begin}
      onFocus={hold}
      onBlur={begin}
    >
      <Icon name={toast.kind} className={toast.kind === "done" ? "up" : "warn"} />
      <b>{toast.title}</b>
      <button aria-label={`Close: ${toast.title}`} onClick={() => forget(toast.id)}>
        <Icon name="x" />
      </button>
      {toast.text && <p>{toast.text}</p>}
    </div>
  );
}

/** Orders that waited and have ended by themselves. */
function useOrderNews(): void {
  const { say: tell } = useDesk();
  const { stream } = useTab();
  const ended = useEndedOrders();
  const seen = useRef(ended);
  useEffect(() => {
    const [news, markets] = [ended.filter((order) => !seen.current.includes(order)), stream.get().state.markets];
    seen.current = ended;
    for (const order of news) {
      const end = endOf(order, markets.get(order.ticker) ?? null);
      if (end !== null)
        tell({ kind: end.isGood ? "done" : "note", stays: !end.isGood, title: end.title, text: end.text });
    }
  }, [ended, stream, tell]);
}

/** Liquidations, and that a cut line is back. */
function useNews(): void {
  const { say: tell } = useDesk();
  const { isStale, phase } = useConnection();
  const fills = useFills();
  const wasStale = useRef(false);
  useEffect(() => {
    if (phase === "live" && wasStale.current) tell({ kind: "done", title: "Live again, nothing missed" });
    if (phase !== "cut") wasStale.current = false;
    if (isStale) wasStale.current = true;
  }, [isStale, phase, tell]);
  const seen = useRef<string | undefined>(undefined);
  useEffect(() => {
    const news = fills.slice(
      0,
      Math.max(0, seen.current === undefined ? fills.length : fills.findIndex((f) => f.id === seen.current)),
    );
    seen.current = fills[0]?.id ?? "";
    for (const fill of news)
      if (fill.reason !== undefined)
        tell({
          kind: fill.reason === "take_profit" ? "done" : "note",
          stays: true,
          title: `${say.base(fill.ticker)} ${fill.side} closed by its ${EXITS[fill.reason]}`,
          text: `${say.money(fill.realizedPnL ?? "0", { isSigned: true })} at ${say.money(fill.price)}.`,
        });
      else if (fill.kind === "settlement")
        tell({
          kind: "note",
          stays: true,
          title: `${say.base(fill.ticker)} was settled`,
          text: `Everybody left at ${say.money(fill.price)}: ${say.money(fill.realizedPnL ?? "0", { isSigned: true })}.`,
        });
      else if (fill.kind === "deleverage")
        tell({
          kind: "note",
          stays: true,
          title: `${say.base(fill.ticker)} ${fill.side} was deleveraged`,
          text: `The house could not owe more, so who had gained most had to leave: ${say.money(fill.realizedPnL ?? "0", { isSigned: true })} at ${say.money(fill.price)}, without a fee.`,
        });
      else if (fill.kind === "liquidation")
        tell({
          kind: "note",
          stays: true,
          title: `${say.base(fill.ticker)} ${fill.side} was liquidated`,
          text: `Its margin is used up: ${say.money(fill.realizedPnL ?? "0", { isSigned: true })} at ${say.money(fill.price)}.`,
        });
  }, [fills, tell]);
}
