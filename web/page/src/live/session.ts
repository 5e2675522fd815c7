/** Who trades, or runs the venue: a key, kept for this tab only and forgotten when it is closed. */
import type { Venue } from "../api/venue";
import { body } from "../api/venue";

/** Somebody who trades. */
export type Session = { readonly key: string; readonly userId: string };
/** Whoever has signed in: null as user is a key that belongs to nobody, as an operator's may. */
export type Holder = { readonly key: string; readonly userId: string | null; readonly isOperator: boolean };

const PLACE = "perps.session";

/** The key, and who it belongs to. Whoever subscribes is told when it changes. */
export class Sessions {
  private now: Holder | null;
  private trading: Session | null;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly store: Storage | null) {
    this.now = read(store);
    this.trading = traderOf(this.now);
  }

  readonly get = (): Holder | null => this.now;
  readonly trader = (): Session | null => this.trading;
  readonly key = (): string | null => this.now?.key ?? null;
  /** The key to follow a user with: none for one that belongs to nobody. */
  readonly traderKey = (): string | null => this.trading?.key ?? null;
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Use a key. Throws `Refused` or `NoAnswer`; and `NobodysKey` for one that neither trades nor runs the venue. */
  async signIn(venue: Venue, key: string): Promise<void> {
    const me = await body(venue.GET("/api/me", { headers: { Authorization: `Bearer ${key}` } }));
    const isOperator = me.scopes.includes("admin");
    const trades = me.userId !== null && me.scopes.includes("trade");
    if (!isOperator && !trades) throw new NobodysKey();
    this.set({ key, userId: me.userId, isOperator });
  }

  signOut(): void {
    this.set(null);
  }

  private set(now: Holder | null): void {
    this.now = now;
    this.trading = traderOf(now);
    if (now === null) this.store?.removeItem(PLACE);
    else this.store?.setItem(PLACE, JSON.stringify(now));
    for (const listener of [...this.listeners]) listener();
  }
}

/** A key that neither trades nor runs the venue. */
export class NobodysKey extends Error {}

const traderOf = (now: Holder | null): Session | null =>
  now === null || now.userId === null ? null : { key: now.key, userId: now.userId };

function read(store: Storage | null): Holder | null {
  try {
    const found: unknown = JSON.parse(store?.getItem(PLACE) ?? "null");
    const { key, userId, isOperator } = (found ?? {}) as Partial<Holder>;
    return key && (userId || isOperator) ? { key, userId: userId ?? null, isOperator: isOperator === true } : null;
  } catch {
    return null;
  }
}
