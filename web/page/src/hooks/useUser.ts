import { useQuery } from "@tanstack/react-query";
import Big from "big.js";
import { useMemo } from "react";
import type { Balance, Market, Position, Transaction, UserTrade } from "../api/venue";
import { body } from "../api/venue";
import { type Decimal, type Room, pnlNow, roomOf, share, sum } from "../live/money";
import { useKnown, useSession, useTab } from "./provider";

/** An open position as it stands at the present mark price. */
export type LivePosition = Position & {
  readonly mark: Decimal;
  /** Unrealised profit or loss, USD. */
  readonly pnl: Decimal;
  /** The same in per cent of the margin. */
  readonly pnlPercent: Decimal;
  readonly room: Room | null;
};

const NONE: readonly LivePosition[] = [];
const NO_FILLS: readonly UserTrade[] = [];

function live(position: Position, market: Market | undefined): LivePosition {
  const mark = market?.markPrice ?? position.markPrice;
  const pnl = pnlNow(position, mark);
  const pnlPercent = Big(share(pnl, position.margin, 6))
    .times(100)
    .toFixed(1);
  return { ...position, mark, pnl, pnlPercent, room: roomOf(position, mark) };
}

/** The user's open positions at the present mark prices, the newest first; null until they are known. */
export function useUserPositions(): readonly LivePosition[] | null {
  const positions = useKnown((known) => known.state.user?.positions ?? null);
  const marks = useKnown((known) => marksOf(known.state.user?.positions, known.state.markets));
  const { stream } = useTab();
  return useMemo(() => {
    const { markets } = stream.get().state;
    if (positions === null) return null;
    if (positions.size === 0) return NONE;
    return [...positions.values()]
      .map((position) => live(position, markets.get(position.ticker)))
      .sort((a, b) => (a.openedAt < b.openedAt ? 1 : -1));
  }, [positions, marks, stream]);
}

/** The mark prices that positions depend on, as one text: nothing is computed anew while they stay. */
function marksOf(positions: ReadonlyMap<string, Position> | undefined, markets: ReadonlyMap<string, Market>): string {
  const tickers = new Set([...(positions?.values() ?? [])].map(({ ticker }) => ticker));
  return [...tickers].map((ticker) => markets.get(ticker)?.markPrice).join(" ");
}

export type WalletNow = Balance & {
  /** What all open positions have gained or lost by now. */
  readonly unrealized: Decimal;
  /** The wallet, what orders keep, the margin and what the positions have gained. */
  readonly equity: Decimal;
};

/** The user's money, live; null until it is known. */
export function useWalletBalance(): WalletNow | null {
  const balance = useKnown((known) => known.state.user?.balance ?? null);
  const positions = useUserPositions();
  return useMemo(() => {
    if (balance === null || positions === null) return null;
    const unrealized = sum("0", ...positions.map((position) => position.pnl));
    return { ...balance, unrealized, equity: sum(balance.total, balance.margin, unrealized) };
  }, [balance, positions]);
}

/** The user's own trades since the tab looks on, newest first. */
export function useFills(): readonly UserTrade[] {
  return useKnown((known) => known.state.user?.fills ?? NO_FILLS);
}

/** What changed the wallet, newest first; read again when it changes. */
export function useTransactions(): { readonly transactions: readonly Transaction[]; readonly isLoading: boolean } {
  const { venue } = useTab();
  const session = useSession();
  const offset = useKnown((known) => known.state.user?.balance.offset ?? 0);
  const { data, isLoading } = useQuery({
    queryKey: ["own", session?.userId, "transactions", offset],
    enabled: session !== null,
    placeholderData: (before) => before,
    queryFn: () =>
      body(venue.GET("/api/users/{userId}/transactions", { params: { path: { userId: "me" }, query: { limit: 50 } } })),
  });
  return { transactions: data?.transactions ?? [], isLoading };
}

/** Past positions, the newest first; read again when one ends. */
export function usePastPositions(isOn: boolean): {
  readonly positions: readonly Position[];
  readonly isLoading: boolean;
} {
  const { venue } = useTab();
  const session = useSession();
  const fills = useFills();
  const { data, isLoading } = useQuery({
    queryKey: ["own", session?.userId, "past", fills[0]?.id],
    enabled: session !== null && isOn,
    placeholderData: (before) => before,
    queryFn: () =>
      body(
        venue.GET("/api/markets/positions/{userId}", {
          params: { path: { userId: "me" }, query: { status: "closed", limit: 50 } },
        }),
      ),
  });
  return { positions: data?.perpetuals.positions ?? [], isLoading };
}

/** The demo's people, in whose name a visitor may trade; empty without a demo. */
export function useDemoPeople(): readonly { readonly userId: string; readonly key: string }[] {
  const { venue } = useTab();
  const resets = useKnown((known) => known.state.resets);
  const session = useSession();
  const { data } = useQuery({
    queryKey: ["demo", resets],
    enabled: session === null,
    queryFn: () => body(venue.GET("/api/demo")),
    refetchInterval: (query) =>
      query.state.data?.people.length === 0 && query.state.dataUpdateCount < 8 ? 2_000 : false,
  });
  return data?.people ?? [];
}
