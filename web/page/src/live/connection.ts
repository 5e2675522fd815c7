/** One stream a tab: it comes back by itself behind the last row that it has seen, and says how old that is. */
import type { LiveState } from "./state";
import { NOTHING, taken } from "./state";
import { rowReader } from "./rows";

export type Phase =
  /** Nothing is known yet. */
  | "connecting"
  | "live"
  /** The line is cut; what is shown is as of `heardAt`. */
  | "cut"
  /** The venue does not take the key. */
  | "ended";

export type Connection = {
  readonly phase: Phase;
  /** When the venue was heard last, milliseconds. */
  readonly heardAt: number;
  /** Since when the line is cut. */
  readonly cutAt: number | null;
};

export type Known = { readonly connection: Connection; readonly state: LiveState };

/** How long the venue may be silent: it says every second that it lives. */
export const SILENCE_MS = 1_800;
export const LOOK_MS = 100;
export const RETRY_MS = [100, 250, 500, 1_000] as const;
/** How often those who look on are told, at most. */
export const TELL_MS = 100;
/** How seldom they are told where drawing takes long: then it takes a third of the time, and the page answers. */
export const TELL_SLOW_MS = 600;

export type Surroundings = {
  readonly fetch: typeof fetch;
  readonly now: () => number;
  /** Call when the next picture is due; left out: at once. */
  readonly frame?: (then: () => void) => void;
};

const FRAME_MS = 250;

const REAL: Surroundings = { fetch: (...call) => fetch(...call), now: Date.now, frame };

/** With the next picture; soon, if there is none: a tab that nobody sees draws nothing. */
function frame(then: () => void): void {
  let isDone = false;
  const once = () => void (isDone || ((isDone = true), clearTimeout(timer), then()));
  const timer = setTimeout(once, FRAME_MS);
  globalThis.requestAnimationFrame?.(once);
}

/** Follows all markets of the venue at `base`, and everything of the key's user, if there is a key. */
export class Stream {
  private known: Known;
  private readonly listeners = new Set<() => void>();
  private line: AbortController | null = null;
  private id: string | null = null;
  private telling: ReturnType<typeof setTimeout> | null = null;
  private watching: ReturnType<typeof setInterval> | null = null;
  private isStopped = true;
  /** Counts starts: what an earlier one began ends by itself. */
  private turn = 0;
  private isNew = false;
  private failures = 0;
  private pace = TELL_MS;

  constructor(
    private readonly base: string,
    private readonly key: () => string | null,
    private readonly world: Surroundings = REAL,
  ) {
    this.known = { connection: { phase: "connecting", heardAt: world.now(), cutAt: null }, state: NOTHING };
  }

  /** What is known now. The same object until something changes. */
  readonly get = (): Known => this.known;

  /** Call `listener` when something has changed, with a picture, at most every `TELL_MS`, less often where drawing takes long. Returns the end of it. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Begin. Once begun it goes on until `stop`. */
  start(): void {
    if (!this.isStopped) return;
    this.isStopped = false;
    this.watching = setInterval(() => this.look(), LOOK_MS);
    void this.follow(++this.turn);
  }

  /** Begin anew, from a snapshot: the key has changed, or rows do not say enough. */
  restart(): void {
    this.id = null;
    this.isNew = true;
    const { connection, state } = this.known;
    this.change({ connection: { ...connection, phase: "connecting" }, state: { ...state, user: null } });
    this.line?.abort();
    if (this.isStopped) this.start();
  }

  stop(): void {
    this.isStopped = true;
    if (this.watching !== null) clearInterval(this.watching);
    if (this.telling !== null) clearTimeout(this.telling);
    this.watching = this.telling = null;
    this.line?.abort();
  }

  private async follow(turn: number): Promise<void> {
    while (!this.isStopped && turn === this.turn) {
      this.line = new AbortController();
      this.isNew = false;
      try {
        await this.read(this.line);
      } catch {
        // The line broke, or was given up: it is made again.
      }
      if (turn !== this.turn) return;
      if (this.isStopped || this.known.connection.phase === "ended") return this.stop();
      if (this.isNew) continue;
      this.cut();
      const wait = RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)];
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }

  /** Take rows until the line breaks. */
  private async read(line: AbortController): Promise<void> {
    const key = this.key();
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    if (key !== null) headers["Authorization"] = `Bearer ${key}`;
    if (this.id !== null) headers["Last-Event-ID"] = this.id;
    const path = `${this.base}api/sse?heartbeat=1${key === null ? "" : "&user=me"}`;
    const answer = await this.world.fetch(path, { headers, signal: line.signal, cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) {
      this.change({ connection: { ...this.known.connection, phase: "ended" } });
      return;
    }
    if (!answer.ok || answer.body === null) return;
    this.failures = 0;
    if (this.id !== null) this.heard();
    const feed = rowReader((row) => {
      if (line.signal.aborted) return;
      this.id = row.id;
      this.change({ state: taken(this.known.state, row) });
      if (this.known.state.isBehind) this.restart();
    });
    const [reader, text] = [answer.body.getReader(), new TextDecoder()];
    for (;;) {
      const { done, value } = await reader.read();
      if (done || line.signal.aborted) return;
      feed(text.decode(value, { stream: true }));
      if (this.id !== null) this.heard();
    }
  }

  private heard(): void {
    this.change({ connection: { phase: "live", heardAt: this.world.now(), cutAt: null } });
  }

  private cut(): void {
    const { connection } = this.known;
    if (connection.phase === "cut") return;
    this.change({ connection: { ...connection, phase: "cut", cutAt: this.world.now() } });
  }

  private look(): void {
    if (this.known.connection.phase === "live" && this.world.now() - this.known.connection.heardAt > SILENCE_MS) {
      this.cut();
      this.line?.abort();
    }
  }

  private change(to: Partial<Known>): void {
    const was = this.known.connection.phase;
    this.known = { ...this.known, ...to };
    if (was !== this.known.connection.phase) this.tell();
    else this.telling ??= setTimeout(() => this.atFrame(() => this.telling !== null && this.tell()), this.pace);
  }

  private tell(): void {
    if (this.telling !== null) clearTimeout(this.telling);
    this.telling = null;
    const began = this.world.now();
    for (const listener of [...this.listeners]) listener();
    this.atFrame(() => (this.pace = Math.min(TELL_SLOW_MS, Math.max(TELL_MS, 2 * (this.world.now() - began)))));
  }

  private atFrame(then: () => void): void {
    if (this.world.frame === undefined) then();
    else this.world.frame(then);
  }
}
