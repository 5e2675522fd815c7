import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import type {
  CloseBody,
  Closed,
  MarginChanged,
  OpenBody,
  Opened,
  OrderBody,
  OrderQuoted,
  Pending,
  Quoted,
  TriggersBody,
  TriggersSet,
  Order as VenueOrder,
} from "../api/venue";
import { Refused, body, isNoVerdict, newOrderId } from "../api/venue";
import { type Progress, carriedOut } from "../live/order";
import { type Tab, useSession, useTab } from "./provider";

export type Order<T> = {
  readonly progress: Progress<T>;
  /** Whether it is on its way: nothing else should be sent meanwhile. */
  readonly isPending: boolean;
  /** Forget how the last one went. */
  readonly reset: () => void;
};

/** How an order that waits for the next price ends, as the stream tells it. If it ended unseen, the venue is asked. */
async function ended({ venue, stream }: Tab, { order: { id: orderId }, offset }: Pending): Promise<VenueOrder> {
  for (;;) {
    const { user, offset: seen } = stream.get().state;
    const told = user?.ended.find(({ id }) => id === orderId);
    if (told !== undefined) return told;
    if (user !== null && seen >= offset && !user.orders.has(orderId)) {
      const params = { path: { orderId } };
      const { order } = await body<{ order: VenueOrder }>(venue.GET("/api/orders/{orderId}", { params }));
      if (order.status !== "open") return order;
    }
    await new Promise<void>((resolve) => {
      const forget = stream.subscribe(() => (forget(), resolve()));
    });
  }
}

/** A command that is sent until there is a verdict. What is on its way goes on when the component has gone.
 *
 * In a market that executes at the next price the verdict is an order; then it is waited for. */
export function useOrder<A extends unknown[], T>(send: (id: string, ...args: A) => Promise<T | Pending>) {
  const tab = useTab();
  const [progress, setProgress] = useState<Progress<T>>({ phase: "idle" });
  const mounted = useRef<AbortController | null>(null);
  useEffect(() => {
    const here = (mounted.current = new AbortController());
    return () => here.abort();
  }, []);
  const sending = useRef(send);
  sending.current = send;
  const run = useCallback(
    (...args: A): Promise<Progress<T>> => {
      const tell = (now: Progress<T>) => mounted.current?.signal.aborted || setProgress(now);
      const never = new AbortController().signal;
      return carriedOut(
        newOrderId(),
        (id) => sending.current(id, ...args),
        tell,
        never,
        (pending) => ended(tab, pending),
      );
    },
    [tab],
  );
  const reset = useCallback(() => setProgress({ phase: "idle" }), []);
  const isPending =
    progress.phase === "sending" ||
    progress.phase === "retrying" ||
    (progress.phase === "waiting" && progress.order.status === "open");
  return { run, progress, isPending, reset };
}

/** Open a position. `open` resolves with the verdict; `progress` says how it goes. */
export function useOpen(): Order<Opened> & { open: (order: OpenBody) => Promise<Progress<Opened>> } {
  const { venue } = useTab();
  const { run, ...order } = useOrder((id, asked: OpenBody) =>
    body<Opened | Pending>(venue.POST("/api/markets/perps/open", { body: { ...asked, clientOrderId: id } })),
  );
  return { ...order, open: run };
}

/** Close a position, whole or by a share. */
export function useClose(): Order<Closed> & {
  close: (positionId: string, how?: CloseBody) => Promise<Progress<Closed>>;
} {
  const { venue } = useTab();
  const { run, ...order } = useOrder((id, positionId: string, how: CloseBody = {}) =>
    body<Closed | Pending>(
      venue.POST("/api/markets/perps/{positionId}/close", {
        params: { path: { positionId } },
        body: { ...how, clientOrderId: id },
      }),
    ),
  );
  return { ...order, close: run };
}

/** Set where a position leaves by itself. Sets both: one that is null or left out is taken away. */
export function useTriggers(): Order<TriggersSet> & {
  set: (positionId: string, exits: TriggersBody) => Promise<Progress<TriggersSet>>;
} {
  const { venue } = useTab();
  const { run, ...order } = useOrder((id, positionId: string, exits: TriggersBody) =>
    body<TriggersSet>(
      venue.POST("/api/markets/perps/{positionId}/triggers", {
        params: { path: { positionId } },
        body: { ...exits, clientOrderId: id },
      }),
    ),
  );
  return { ...order, set: run };
}

/** Pay margin into a position, or take some out: an amount below 0, USD. */
export function useMargin(): Order<MarginChanged> & {
  change: (positionId: string, amount: string) => Promise<Progress<MarginChanged>>;
} {
  const { venue } = useTab();
  const { run, ...order } = useOrder((id, positionId: string, amount: string) =>
    body<MarginChanged | Pending>(
      venue.POST("/api/markets/perps/{positionId}/margin", {
        params: { path: { positionId } },
        body: { amount, clientOrderId: id },
      }),
    ),
  );
  return { ...order, change: run };
}

/** Everything that trades. An open that names a `positionId` makes that position larger. */
export function usePerpTrade() {
  return { opening: useOpen(), closing: useClose(), triggers: useTriggers(), margin: useMargin() };
}

export type PreviewOf<T> = {
  /** What the venue says of the newest order that it was asked about. */
  readonly quote: T | null;
  readonly refusal: Refused | null;
  /** Whether that is not yet about the present order. */
  readonly isOld: boolean;
};
export type Preview = PreviewOf<Quoted>;

export const PREVIEW_MS = 150;

/** What an open would do now, from the venue, as one types. Null: there is nothing to ask. `stamp`: ask again. */
export function usePreview(order: OpenBody | null, stamp: unknown): Preview {
  const { venue } = useTab();
  return usePreviewOf("quote", order, stamp, (asked: OpenBody, signal) =>
    body<Quoted>(venue.POST("/api/markets/perps/quote", { body: asked, signal })),
  );
}

/** What placing an order would do now, from the venue, as one types. */
export function useOrderPreview(order: OrderBody | null, stamp: unknown): PreviewOf<OrderQuoted> {
  const { venue } = useTab();
  return usePreviewOf("order quote", order, stamp, (asked: OrderBody, signal) =>
    body<OrderQuoted>(venue.POST("/api/orders/quote", { body: asked, signal })),
  );
}

function usePreviewOf<B extends object, T>(
  name: string,
  order: B | null,
  stamp: unknown,
  ask: (order: B, signal: AbortSignal) => Promise<T>,
): PreviewOf<T> {
  const session = useSession();
  const text = order === null ? null : JSON.stringify(order);
  const [asked, setAsked] = useState<{ text: string; stamp: unknown } | null>(null);
  useEffect(() => {
    if (text === null) return setAsked(null);
    const timer = setTimeout(() => setAsked({ text, stamp }), PREVIEW_MS);
    return () => clearTimeout(timer);
  }, [text, stamp]);
  const { data, error, isFetching, isPlaceholderData } = useQuery<T>({
    queryKey: ["own", session?.userId, name, asked?.text, asked?.stamp],
    enabled: session !== null && asked !== null,
    placeholderData: (before: T | undefined) => before as never,
    gcTime: 5_000,
    retry: (count, failure) => isNoVerdict(failure) && count < 3,
    queryFn: ({ signal }) => ask(JSON.parse(asked?.text ?? "{}") as B, signal),
  });
  const refusal = error instanceof Refused ? error : null;
  return {
    quote: refusal === null && asked !== null ? ((data as T | undefined) ?? null) : null,
    refusal: asked === null ? null : refusal,
    isOld: isFetching || isPlaceholderData || asked?.text !== text,
  };
}
