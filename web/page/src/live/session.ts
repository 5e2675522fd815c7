/** Who trades: a key, kept for this tab only and forgotten when it is closed. */
import type { Venue } from "../api/venue";
import { body } from "../api/venue";

export type Session = { readonly key: string; readonly userId: string };

const PLACE = "perps.session";

/** The key, and who it belongs to. Whoever subscribes is told when it changes. */
export class Sessions {
  private now: Session | null;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly store: Storage | null) {
    this.now = read(store);
  }

  readonly get = (): Session | null => this.now;
  readonly key = (): string | null => this.now?.key ?? null;
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Trade with a key. Throws `Refused` or `NoAnswer`; and `NobodysKey` for one that trades in nobody's name. */
  async signIn(venue: Venue, key: string): Promise<void> {
    const me = await body(venue.GET("/api/me", { headers: { Authorization: `Bearer ${key}` } }));
    if (me.userId === null || !me.scopes.some((scope) => scope === "trade" || scope === "admin"))
      throw new NobodysKey();
    this.set({ key, userId: me.userId });
  }

  signOut(): void {
    this.set(null);
  }

  private set(session: Session | null): void {
    this.now = session;
    if (session === null) this.store?.removeItem(PLACE);
    else this.store?.setItem(PLACE, JSON.stringify(session));
    for (const listener of [...this.listeners]) listener();
  }
}

/** A key that trades in nobody's name. */
export class NobodysKey extends Error {}

function read(store: Storage | null): Session | null {
  try {
    const found: unknown = JSON.parse(store?.getItem(PLACE) ?? "null");
    const { key, userId } = (found ?? {}) as Partial<Session>;
    return key && userId ? { key, userId } : null;
  } catch {
    return null;
  }
}
