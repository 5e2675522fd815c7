/** Close everything: each position by a command of its own, so one may be refused and the others not. */
import type { ClosedAll } from "../api/venue";
import { body } from "../api/venue";
import type { Progress } from "../live/order";
import { useTab } from "./provider";
import { type Order, useOrder } from "./usePerpTrade";

/** Requests of 100 positions each. */
const ROUNDS_MAX = 100;

export type AllClosed = Pick<ClosedAll, "results" | "remaining">;

/**
 * Close all positions, in one market or in all; asks again while the venue says that more are left. It needs no id:
 * what is closed stays closed.
 */
export function useCloseAll(): Order<AllClosed> & { closeAll: (ticker?: string) => Promise<Progress<AllClosed>> } {
  const { venue } = useTab();
  const { run, ...order } = useOrder(async (_, ticker?: string): Promise<AllClosed> => {
    const results: AllClosed["results"] = [];
    for (let round = 1; ; round++) {
      const asked = body(venue.POST("/api/positions/close-all", { body: ticker === undefined ? {} : { ticker } }));
      const answer = await asked;
      results.push(...answer.results);
      const isStuck = answer.results.every((one) => one.error !== undefined);
      if (answer.remaining === 0 || isStuck || round >= ROUNDS_MAX) return { results, remaining: answer.remaining };
    }
  });
  return { ...order, closeAll: run };
}
