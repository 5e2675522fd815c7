/** What all hooks stand on: one venue, one stream, one key. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, createContext, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { type Venue, venueAt } from "../api/venue";
import { Stream, type Surroundings } from "../live/connection";
import { type Holder, type Session, Sessions } from "../live/session";

export type Tab = {
  readonly venue: Venue;
  readonly stream: Stream;
  readonly sessions: Sessions;
  readonly queries: QueryClient;
};

const Context = createContext<Tab | null>(null);

/** A tab that talks to the venue at `base` (a URL that ends with `/`). */
export function tabAt(base: string, store: Storage | null, world?: Surroundings): Tab {
  const sessions = new Sessions(store);
  return {
    sessions,
    venue: venueAt(base, sessions.key, world?.fetch),
    stream: new Stream(base, sessions.traderKey, world),
    queries: new QueryClient({ defaultOptions: { queries: { refetchOnWindowFocus: false, staleTime: Infinity } } }),
  };
}

/** Everything below it can use the hooks. The stream is open while it is there. */
export function VenueProvider({ tab, children }: { tab: Tab; children: ReactNode }) {
  useEffect(() => {
    let user = tab.sessions.get()?.userId;
    const forget = tab.sessions.subscribe(() => {
      user = tab.sessions.get()?.userId;
      tab.queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] === "own" && queryKey[1] !== user });
      tab.stream.restart();
    });
    const ended = tab.stream.subscribe(() => {
      if (tab.stream.get().connection.phase === "ended" && tab.sessions.trader() !== null) tab.sessions.signOut();
    });
    const rest = restWhileHidden(tab.stream);
    tab.stream.start();
    return () => {
      rest();
      forget();
      ended();
      tab.stream.stop();
    };
  }, [tab]);
  return (
    <Context.Provider value={tab}>
      <QueryClientProvider client={tab.queries}>{children}</QueryClientProvider>
    </Context.Provider>
  );
}

/** How long a tab that nobody sees keeps its stream: a browser lends a venue six connections for all tabs together. */
export const HIDDEN_MS = 60_000;

/** Let go of the stream while the tab is hidden. It resumes where it was. Returns the end of it. */
function restWhileHidden(stream: Stream): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    clearTimeout(timer);
    if (document.visibilityState === "hidden") timer = setTimeout(() => stream.stop(), HIDDEN_MS);
    else stream.start();
  };
  document.addEventListener("visibilitychange", look);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

/** The tab that a component is in. Throws outside of a `VenueProvider`. */
export function useTab(): Tab {
  const tab = useContext(Context);
  if (tab === null) throw new Error("use this inside of a VenueProvider");
  return tab;
}

/** Who trades; null: nobody has signed in, or an operator whose key trades for nobody. */
export function useSession(): Session | null {
  const { sessions } = useTab();
  return useSyncExternalStore(sessions.subscribe, sessions.trader);
}

/** Who has signed in, with a key that trades or runs the venue. */
export function useHolder(): Holder | null {
  const { sessions } = useTab();
  return useSyncExternalStore(sessions.subscribe, sessions.get);
}

/** A part of what the stream knows. Renders again when `pick` gives another object. */
export function useKnown<T>(pick: (known: ReturnType<Stream["get"]>) => T): T {
  const { stream } = useTab();
  return useSyncExternalStore(stream.subscribe, () => pick(stream.get()));
}

/** The present time in milliseconds, looked at every so often while `isOn`. */
export function useNow(everyMs: number, isOn = true): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    if (!isOn) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, isOn]);
  return now;
}

/** A value that changes often, looked at every so often. */
export function useEvery<T>(everyMs: number, value: T): T {
  const now = useRef(value);
  now.current = value;
  const [shown, setShown] = useState(value);
  useEffect(() => {
    const timer = setInterval(() => setShown(now.current), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return shown;
}
