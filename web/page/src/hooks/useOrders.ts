/** Orders that wait for their price: which there are, and the commands that place, change and cancel them. */
import { useMemo } from "react";
import type { Order, OrderBody, Placed, ReplaceBody, Venue } from "../api/venue";
import { Refused, body } from "../api/venue";
import type { Progress } from "../live/order";
import { useKnown, useTab } from "./provider";
import { type Order as Command, useOrder as useCommand } from "./usePerpTrade";

const NONE: readonly Order[] = [];

/** The user's orders that wait, those placed last first, live; null until they are known. */
export function useOrders(): readonly Order[] | null {
  const orders = useKnown((known) => known.state.user?.orders ?? null);
  return useMemo(
    () =>
      orders && [...orders.values()].sort((a, b) => (a.placedAt < b.placedAt ? 1 : a.placedAt > b.placedAt ? -1 : 0)),
    [orders],
  );
}

/** Orders that waited and have ended since the tab looks on, newest first. */
export function useEndedOrders(): readonly Order[] {
  return useKnown((known) => known.state.user?.ended ?? NONE);
}

/** Place an order that waits for its price. One that can fill at once has a `position` in its answer. */
export function usePlace(): Command<Placed> & { place: (order: OrderBody) => Promise<Progress<Placed>> } {
  const { venue } = useTab();
  const { run, ...command } = useCommand((id, order: OrderBody) =>
    body<Placed>(venue.POST("/api/orders", { body: { ...order, clientOrderId: id } })),
  );
  return { ...command, place: run };
}

/** Other terms for an order that waits. What is left out stays. */
export function useReplace(): Command<Placed> & {
  replace: (orderId: string, terms: ReplaceBody) => Promise<Progress<Placed>>;
} {
  const { venue } = useTab();
  const { run, ...command } = useCommand((id, orderId: string, terms: ReplaceBody) =>
    body<Placed>(
      venue.PATCH("/api/orders/{orderId}", { params: { path: { orderId } }, body: { ...terms, clientOrderId: id } }),
    ),
  );
  return { ...command, replace: run };
}

/**
 * Cancel an order. It needs no id: if the answer to the first try was lost, the second finds the order cancelled by
 * its owner, and that is the answer.
 */
export function useCancel(): Command<Order> & { cancel: (orderId: string) => Promise<Progress<Order>> } {
  const { venue } = useTab();
  const { run, ...command } = useCommand((_, orderId: string) => cancelled(venue, orderId));
  return { ...command, cancel: run };
}

async function cancelled(venue: Venue, orderId: string): Promise<Order> {
  const params = { path: { orderId } };
  try {
    return (await body(venue.DELETE("/api/orders/{orderId}", { params }))).order;
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "order_closed") throw error;
    const { order } = await body(venue.GET("/api/orders/{orderId}", { params }));
    if (order.status === "cancelled" && order.reason === "owner") return order;
    throw error;
  }
}

/** Cancel all orders that wait, in one market or in all. Answers those that it cancelled. */
export function useCancelAll(): Command<readonly Order[]> & {
  cancelAll: (ticker?: string) => Promise<Progress<readonly Order[]>>;
} {
  const { venue } = useTab();
  const { run, ...command } = useCommand(async (_, ticker?: string) => {
    const query = ticker === undefined ? {} : { ticker };
    return (await body(venue.DELETE("/api/orders", { params: { query } }))).orders as readonly Order[];
  });
  return { ...command, cancelAll: run };
}
