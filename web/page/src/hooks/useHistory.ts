/** What a user had and did, page by page; and who does best. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import type { EquityPoint, Leaderboard, Order, Position, Transaction, UserTrade, Venue } from "../api/venue";
import { Refused, body } from "../api/venue";
import { minus } from "../live/money";
import { carriedOut } from "../live/order";
import { useKnown, useNow, useSession, useTab } from "./provider";
import { useFills, useWalletBalance } from "./useUser";

export type Window = "24h" | "7d" | "all";
export type Rows = { positions: Position; orders: Order; trades: UserTrade; money: Transaction };
export type Kind = keyof Rows;
type PageOf<K extends Kind> = { readonly rows: readonly Rows[K][]; readonly next: string | null };

const HOUR_MS = 3_600_000;
const SHOWN = 50;
const WHOLE = 500;
/** Pages of a table that is saved: 100,000 rows. */
const PAGES_MAX = 200;

async function page<K extends Kind>(venue: Venue, kind: K, limit: number, cursor: string | null): Promise<PageOf<K>> {
  const query = { limit, ...(cursor !== null && { cursor }) };
  const path = { userId: "me" };
  const read = async (): Promise<{ rows: readonly Rows[Kind][]; next: string | null }> => {
    if (kind === "positions") {
      const params = { path, query: { ...query, status: "closed" as const } };
      const { perpetuals, nextCursor } = await body(venue.GET("/api/markets/positions/{userId}", { params }));
      return { rows: perpetuals.positions, next: nextCursor };
    }
    if (kind === "orders") {
      const params = { query: { ...query, status: "closed" as const } };
      const { orders, nextCursor } = await body(venue.GET("/api/orders", { params }));
      return { rows: orders, next: nextCursor };
    }
    const params = { path, query };
    if (kind === "trades") {
      const { trades, nextCursor } = await body(venue.GET("/api/users/{userId}/trades", { params }));
      return { rows: trades, next: nextCursor };
    }
    const { transactions, nextCursor } = await body(venue.GET("/api/users/{userId}/transactions", { params }));
    return { rows: transactions, next: nextCursor };
  };
  return (await read()) as PageOf<K>;
}

/** A long page, asked for until there is a verdict. */
export async function surely<K extends Kind>(venue: Venue, kind: K, cursor: string | null): Promise<PageOf<K>> {
  const never = new AbortController().signal;
  const verdict = await carriedOut(
    "",
    () => page(venue, kind, WHOLE, cursor),
    () => {},
    never,
  );
  if (verdict.phase === "done") return verdict.answer;
  throw verdict.phase === "refused" ? verdict.refusal : new Error(verdict.phase);
}

export type History<K extends Kind> = {
  readonly rows: readonly Rows[K][];
  readonly isLoading: boolean;
  /** Read the next page; null: this is all. */
  readonly more: (() => void) | null;
  /** All rows there are, however many pages; sends again what got no verdict. Throws `Refused`. */
  readonly all: () => Promise<readonly Rows[K][]>;
};

/** One's own past, newest first; read again when something is added to it. */
export function useHistory<K extends Kind>(kind: K): History<K> {
  const { venue } = useTab();
  const session = useSession();
  const fills = useFills();
  const offset = useKnown((known) => known.state.user?.balance.offset ?? 0);
  const isKnown = useKnown((known) => known.state.user !== null);
  const { data, isLoading, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: ["own", session?.userId, "history", kind, kind === "money" || kind === "orders" ? offset : fills[0]?.id],
    enabled: session !== null && isKnown,
    initialPageParam: null as string | null,
    placeholderData: (before) => before,
    queryFn: ({ pageParam }) => page(venue, kind, SHOWN, pageParam),
    getNextPageParam: (last: PageOf<K>) => last.next,
  });
  const all = useCallback(async () => {
    const rows: Rows[K][] = [];
    let cursor: string | null = null;
    for (let count = 0; count < PAGES_MAX; count++) {
      const read: PageOf<K> = await surely(venue, kind, cursor);
      rows.push(...read.rows);
      cursor = read.next;
      if (cursor === null) break;
    }
    return rows;
  }, [venue, kind]);
  const rows = useMemo(() => (data?.pages ?? []).flatMap((one) => one.rows) as Rows[K][], [data]);
  return { rows, isLoading, more: hasNextPage ? () => void fetchNextPage() : null, all };
}

/** What the user had over time, oldest first; the last point is now, live: it takes the place of the venue's own. */
export function useEquity(window: Window): { readonly points: readonly EquityPoint[]; readonly isLoading: boolean } {
  const { venue } = useTab();
  const session = useSession();
  const wallet = useWalletBalance();
  const now = useNow(30_000);
  const { data, isLoading } = useQuery({
    queryKey: ["own", session?.userId, "equity", window, Math.floor(now / HOUR_MS)],
    enabled: session !== null,
    placeholderData: (before) => before,
    queryFn: async () => {
      const params = { path: { userId: "me" }, query: { window, limit: WHOLE } };
      return (await body(venue.GET("/api/users/{userId}/equity", { params }))).points;
    },
  });
  const points = useMemo(() => {
    const past = (data ?? []).slice(1).reverse();
    if (wallet === null || past.length === 0) return past;
    const paidIn = minus(wallet.totalDeposited, wallet.totalWithdrawn);
    const last = past.at(-1)!;
    const at = new Date(Math.max(now, Date.parse(last.at) + 1)).toISOString();
    return [...past, { at, equity: wallet.equity, paidIn }];
  }, [data, wallet, now]);
  return { points, isLoading };
}

const LEADERS_MS = 30_000;

/** Who does best; null while it is not known, and if this venue does not show it to everybody. */
export function useLeaderboard(by: Leaderboard["by"], window: Window): Leaderboard | null {
  const { venue } = useTab();
  const session = useSession();
  const { data } = useQuery({
    queryKey: ["leaders", by, window, session?.userId],
    refetchInterval: (query) => (query.state.error === null ? LEADERS_MS : false),
    placeholderData: (before) => before,
    retry: (count, failure) => !(failure instanceof Refused) && count < 3,
    queryFn: () => body(venue.GET("/api/users/leaderboard", { params: { query: { by, window, limit: 20 } } })),
  });
  return data ?? null;
}
