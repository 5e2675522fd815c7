/** One command on its way: sent again with the same id until the venue has given its verdict. */
import { NoAnswer, Refused, type Pending, type Order, isNoVerdict } from "../api/venue";

export const AGAIN_MS = [500, 1_000, 2_000, 4_000] as const;

export type Progress<T> =
  | { readonly phase: "idle" }
  | { readonly phase: "sending"; readonly id: string }
  /** No verdict yet; the same command is sent again. */
  | { readonly phase: "retrying"; readonly id: string; readonly tries: number; readonly why: string }
  | { readonly phase: "done"; readonly id: string; readonly answer: T }
  /** Taken, and waiting for the next price; or, once that has come, as it ended. */
  | { readonly phase: "waiting"; readonly id: string; readonly order: Order }
  | { readonly phase: "refused"; readonly id: string; readonly refusal: Refused };

/**
 * Send a command until there is an answer or a refusal. `send` gets the client order id, the same each time, so the
 * venue does it once. `tell` hears how it goes. Ends early, without a verdict, when `signal` is aborted.
 */
export async function carriedOut<T>(
  id: string,
  send: (id: string) => Promise<T | Pending>,
  tell: (progress: Progress<T>) => void,
  signal: AbortSignal,
  ended: (pending: Pending) => Promise<Order> = async ({ order }) => order,
): Promise<Progress<T>> {
  tell({ phase: "sending", id });
  for (let tries = 1; ; tries++) {
    let progress: Progress<T>;
    try {
      const answer = await send(id);
      if (isPending(answer)) {
        tell({ phase: "waiting", id, order: answer.order });
        progress = { phase: "waiting", id, order: await ended(answer) };
      } else progress = { phase: "done", id, answer };
    } catch (error) {
      if (!isNoVerdict(error)) {
        if (!(error instanceof Refused)) throw error;
        progress = { phase: "refused", id, refusal: error };
      } else {
        const why = error instanceof Refused ? error.code : "no_answer";
        progress = { phase: "retrying", id, tries, why };
        if (!signal.aborted) tell(progress);
        await pause(error as Refused | NoAnswer, tries, signal);
        if (signal.aborted) return progress;
        continue;
      }
    }
    if (!signal.aborted) tell(progress);
    return progress;
  }
}

/** Whether an answer is an order that waits for the next price, where the command would be done at once elsewhere. */
function isPending(answer: unknown): answer is Pending {
  const order = (answer as Partial<Pending> | null)?.order;
  return order?.type === "market" || order?.type === "withdrawal";
}

function pause(error: Refused | NoAnswer, tries: number, signal: AbortSignal): Promise<void> {
  const asked = error instanceof Refused ? (error.retryAfter ?? 0) * 1_000 : 0;
  const wait = Math.max(asked, AGAIN_MS[Math.min(tries, AGAIN_MS.length) - 1] ?? 0);
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, wait);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
