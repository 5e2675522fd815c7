import { SILENCE_MS } from "../live/connection";
import { useKnown, useNow } from "./provider";

export type ConnectionNow = {
  readonly phase: "connecting" | "live" | "cut" | "ended";
  /** Whether what is shown may no longer be so: the line has been cut for longer than a blink. */
  readonly isStale: boolean;
  /** Seconds since the venue was heard. */
  readonly ageS: number;
  readonly heardAt: number;
  /** The last journal row that is shown; 0 before the first. */
  readonly offset: number;
};

/** How long a line may be cut before the page says that it is. */
export const BLINK_MS = 700;

/** How the venue is heard: live, cut, and as of which row. */
export function useConnection(): ConnectionNow {
  const { phase, heardAt, cutAt } = useKnown((known) => known.connection);
  const offset = useKnown((known) => known.state.offset);
  const now = useNow(250, phase === "cut");
  const isStale = phase === "cut" && (now - (cutAt ?? now) >= BLINK_MS || now - heardAt >= SILENCE_MS);
  return { phase, isStale, heardAt, offset, ageS: Math.max(0, Math.round((now - heardAt) / 1_000)) };
}
