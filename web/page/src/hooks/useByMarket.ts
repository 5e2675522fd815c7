/** What each market has brought: sums of one's own trades, and what is open now. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { UserTrade } from "../api/venue";
import { type Decimal, minus, sum } from "../live/money";
import { useKnown, useSession, useTab } from "./provider";
import { surely } from "./useHistory";
import { type LivePosition, useFills, useUserPositions } from "./useUser";

export type ByMarket = {
  readonly ticker: string;
  /** Realised profit or loss, before fees; funding that was settled is in it. All in USD. */
  readonly realised: Decimal;
  readonly fees: Decimal;
  /** Funding that was settled: below 0 it was received. */
  readonly funding: Decimal;
  readonly volume: Decimal;
  readonly trades: number;
  /** What the open positions have gained by now. */
  readonly unrealised: Decimal;
  /** Realised, less fees, and unrealised. */
  readonly all: Decimal;
};

/** Pages of 500 trades that are read. */
export const PAGES_READ_MAX = 20;

/** The markets in which somebody traded, the best first. */
export function byMarket(trades: readonly UserTrade[], positions: readonly LivePosition[]): readonly ByMarket[] {
  const tickers = new Set([...trades, ...positions].map(({ ticker }) => ticker));
  return [...tickers]
    .map((ticker): ByMarket => {
      const own = trades.filter((trade) => trade.ticker === ticker);
      const realised = sum("0", ...own.map((trade) => trade.realizedPnL ?? "0"));
      const fees = sum("0", ...own.map((trade) => trade.fee.amount));
      const unrealised = sum("0", ...positions.filter((one) => one.ticker === ticker).map((one) => one.pnl));
      return {
        ticker,
        realised,
        fees,
        unrealised,
        funding: sum("0", ...own.map((trade) => trade.funding)),
        volume: sum("0", ...own.map((trade) => trade.size)),
        trades: own.length,
        all: sum(minus(realised, fees), unrealised),
      };
    })
    .sort((a, b) => Number(b.all) - Number(a.all));
}

/** The same, live; read again when something was traded. `isAll`: no older trades were left out. */
export function useByMarket(): { rows: readonly ByMarket[]; isLoading: boolean; isAll: boolean } {
  const { venue } = useTab();
  const session = useSession();
  const positions = useUserPositions();
  const last = useFills()[0]?.id;
  const isKnown = useKnown((known) => known.state.user !== null);
  const { data, isLoading } = useQuery({
    queryKey: ["own", session?.userId, "byMarket", last],
    enabled: session !== null && isKnown,
    placeholderData: (before) => before,
    queryFn: async () => {
      const rows: UserTrade[] = [];
      let cursor: string | null = null;
      for (let count = 0; count < PAGES_READ_MAX; count++) {
        const page: Awaited<ReturnType<typeof surely<"trades">>> = await surely(venue, "trades", cursor);
        rows.push(...page.rows);
        cursor = page.next;
        if (cursor === null) break;
      }
      return { rows, isAll: cursor === null };
    },
  });
  const rows = useMemo(() => (data === undefined ? [] : byMarket(data.rows, positions ?? [])), [data, positions]);
  return { rows, isLoading, isAll: data?.isAll ?? true };
}
