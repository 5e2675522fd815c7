/** What is said of a command on its way; and of an order that waited for the next price, once that has come. */
import type { Order } from "../../api/venue";
import type { Progress } from "../../live/order";
import * as say from "../../words/numbers";
import type { Toast } from "../frame/desk";

const WAYS: Readonly<Partial<Record<Progress<unknown>["phase"], string>>> = {
  sending: "Sending…",
  retrying: "No answer yet, trying again",
  waiting: "Waiting for the next price",
};

/** The button's words while a command is on its way; null: it is not. */
export const wayOf = (phase: Progress<unknown>["phase"]): string | null => WAYS[phase] ?? null;

const REASONS: Readonly<Record<string, string>> = {
  expired: "No price came in time.",
  position_closed: "The position was closed before.",
  price_beyond_limit: "The next price was beyond your limit.",
};

export function ofWaiting(order: Order): Omit<Toast, "id"> {
  const name = say.base(order.ticker);
  if (order.status !== "filled")
    return {
      kind: "note",
      title: `${name}: nothing done`,
      text: REASONS[order.reason ?? ""] ?? `Refused: ${order.reason}.`,
    };
  const at = order.averagePrice === null ? "" : ` at ${say.money(order.averagePrice)}`;
  const what = order.type === "withdrawal" ? "margin taken out" : order.reduceOnly ? "closed" : `${order.side} filled`;
  return { kind: "done", title: `${name}: ${what}`, text: `At the next price${at}.` };
}
