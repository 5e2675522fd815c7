/** What runs the venue: its figures, its problems, and the commands of administrators. */
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useState } from "react";
import type { ChangesBody, Market, MarketBody, Ready, Stats, User, Venue } from "../api/venue";
import { NoAnswer, Refused, body, newOrderId } from "../api/venue";
import { type Progress, carriedOut } from "../live/order";
import { useHolder, useTab } from "./provider";

/** How often the figures are read again while somebody looks at them: no stream has them. */
export const FIGURES_MS = 3_000;

type Figures<T> = { readonly data: T | null; readonly refusal: Refused | null };

function useFigures<T>(name: string, read: (venue: Venue) => Promise<T>): Figures<T> {
  const { venue } = useTab();
  const holder = useHolder();
  const { data, error } = useQuery({
    queryKey: ["own", holder?.userId, "operator", name],
    enabled: holder?.isOperator === true,
    refetchInterval: FIGURES_MS,
    staleTime: 0,
    retry: false,
    queryFn: () => read(venue),
  });
  return { data: data ?? null, refusal: error instanceof Refused ? error : null };
}

/** The venue in numbers. */
export const useStats = (): Figures<Stats> => useFigures("stats", (venue) => body(venue.GET("/api/admin/stats")));

export const USERS_SHOWN = 100;

/** Every user, the newest first, page by page. `more` reads the next page; null: these are all. */
export function useUsers(): { readonly data: readonly User[] | null; readonly more: (() => void) | null } {
  const { venue } = useTab();
  const holder = useHolder();
  const { data, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["own", holder?.userId, "operator", "users"],
    enabled: holder?.isOperator === true,
    refetchInterval: FIGURES_MS,
    staleTime: 0,
    retry: false,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam: cursor }) => {
      const params = { query: { limit: USERS_SHOWN, ...(cursor !== null && { cursor }) } };
      return body(venue.GET("/api/admin/users", { params }));
    },
    getNextPageParam: (last) => last.nextCursor,
  });
  const users = data?.pages.flatMap((page) => page.users) ?? null;
  return { data: users, more: hasNextPage ? () => void fetchNextPage() : null };
}

/** What is not ready and why, and what stops nothing yet: also of a venue that answers 503. */
export const useReady = (): Figures<Ready> =>
  useFigures("ready", async (venue) => {
    const { data, error } = await venue.GET("/readyz").catch((failure: unknown) => {
      throw new NoAnswer(String(failure));
    });
    const ready = data ?? (error as Ready | undefined);
    if (ready?.status === undefined) throw new NoAnswer("what answers is no venue");
    return ready;
  });

export type PriceAsked = { readonly ticker: string; readonly price: string; readonly reason: string | null };

/** A key of an operator does these. Each is sent until there is a verdict, and done once. */
const COMMANDS = {
  list: (venue: Venue, _: string, market: MarketBody) => body(venue.POST("/api/admin/markets", { body: market })),
  change: (venue: Venue, _: string, ticker: string, changes: ChangesBody) =>
    body(venue.PATCH("/api/admin/markets/{ticker}", { params: { path: { ticker } }, body: changes })),
  mode: (venue: Venue, _: string, ticker: string, mode: "enabled" | "reduce_only" | "halted") =>
    body(venue.POST("/api/admin/markets/{ticker}/mode", { params: { path: { ticker } }, body: { mode } })),
  settle: (venue: Venue, _: string, ticker: string) =>
    body(venue.POST("/api/admin/markets/{ticker}/settle", { params: { path: { ticker } } })),
  fund: (venue: Venue, id: string, ticker: string, account: "house" | "insurance", amount: string) =>
    body(
      venue.POST("/api/admin/markets/{ticker}/fund", {
        params: { path: { ticker } },
        body: { account, amount, clientOrderId: id },
      }),
    ),
  price: (venue: Venue, _: string, { ticker, price, reason }: PriceAsked) =>
    body(
      venue.POST("/api/markets/perps/{ticker}/price", {
        params: { path: { ticker } },
        body: { price, source: "event", reason },
      }),
    ),
  addUser: (venue: Venue, _: string, userId: string, deposit: string | null) =>
    body(venue.POST("/api/admin/users", { body: { userId, deposit } })),
  addKey: (venue: Venue, _: string, userId: string) =>
    body(venue.POST("/api/admin/keys", { body: { userId, scopes: ["read", "trade"] } })),
  pay: (venue: Venue, id: string, userId: string, amount: string, isOut: boolean) =>
    body(
      venue.POST(isOut ? "/api/admin/users/{userId}/withdraw" : "/api/admin/users/{userId}/deposit", {
        params: { path: { userId } },
        body: { amount, clientOrderId: id },
      }),
    ),
};

/**
 * Commands that must not be done twice and carry no id: the venue's own rules refuse the second of `list` and `addUser`;
 * setting a mode or a parameter again changes nothing. The others are sent once.
 */
const ONCE: ReadonlySet<string> = new Set(["addKey", "settle", "price"]);

type Commands = typeof COMMANDS;
type Asked<K extends keyof Commands> = Commands[K] extends (venue: Venue, id: string, ...asked: infer A) => unknown
  ? A
  : never;
type Answer<K extends keyof Commands> = Awaited<ReturnType<Commands[K]>>;

/** One command of an administrator: how it goes, and all figures read again when it is done. */
export function useOperate<K extends keyof Commands>(name: K) {
  const { venue } = useTab();
  const holder = useHolder();
  const queries = useQueryClient();
  const [progress, setProgress] = useState<Progress<Answer<K>>>({ phase: "idle" });
  const [isLost, setLost] = useState(false);
  const run = useCallback(
    async (...asked: Asked<K>): Promise<Progress<Answer<K>>> => {
      const send = (id: string) =>
        (COMMANDS[name] as (venue: Venue, id: string, ...asked: unknown[]) => Promise<Answer<K>>)(venue, id, ...asked);
      const stop = new AbortController();
      const tell = (now: Progress<Answer<K>>) => {
        if (now.phase === "retrying" && ONCE.has(name)) stop.abort();
        else setProgress(now);
      };
      setLost(false);
      const verdict = await carriedOut(newOrderId(), send, tell, stop.signal);
      if (verdict.phase === "retrying") {
        setProgress({ phase: "idle" });
        setLost(true);
      }
      await queries.invalidateQueries({ queryKey: ["own", holder?.userId, "operator"] });
      return verdict;
    },
    [name, venue, queries, holder?.userId],
  );
  const reset = useCallback(() => (setProgress({ phase: "idle" }), setLost(false)), []);
  const isPending = progress.phase === "sending" || progress.phase === "retrying";
  const refusal = progress.phase === "refused" ? progress.refusal : null;
  /** `isLost`: there was no answer, and it was not sent again. Look whether it was done. */
  return { run, progress, refusal, isPending, isLost, reset };
}

/** What a market's house could still pay, of what it could pay if nobody had gained anything: below 0.2 is little. */
export function cushionOf({ houseAvailable, houseLiability }: Stats["markets"][number]): {
  left: number;
  share: number;
} {
  const [has, owes] = [Number(houseAvailable), Number(houseLiability)];
  const left = has - Math.max(0, owes);
  return { left, share: has <= 0 ? 0 : Math.min(1, Math.max(0, left / has)) };
}

/** The price that is so many per cent from another, on the market's tick. */
export function movedBy(market: Market, percent: number): number {
  return Number(market.indexPrice) * (1 + percent / 100);
}
