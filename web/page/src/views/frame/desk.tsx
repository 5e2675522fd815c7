/** What the parts of the page share: which market, which sheet, what is said in passing, and what is remembered. */
import type { EditTab } from "../positions/edit";
import {
  type ReactNode,
  createContext,
  useCallback,
  useContext,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";

export type Toast = {
  readonly id: number;
  readonly title: string;
  readonly text?: string;
  readonly kind: "done" | "note";
  /** Stays until it is closed. */
  readonly stays?: boolean;
};
export type SheetNow =
  | { readonly name: "signin" | "switcher" | "wallet" | "keys" | "close-all" }
  | { readonly name: "order"; readonly orderId: string }
  | { readonly name: "close"; readonly positionId: string }
  | { readonly name: "edit"; readonly positionId: string; readonly tab?: EditTab }
  | null;

export const PLACES = ["trade", "portfolio", "operator"] as const;
export type Place = (typeof PLACES)[number];

type Desk = {
  /** What the address names: a market to trade, or one of the other places. */
  readonly place: Place;
  readonly ticker: string;
  readonly sheet: SheetNow;
  readonly show: (sheet: SheetNow) => void;
  readonly toasts: readonly Toast[];
  readonly say: (toast: Omit<Toast, "id">) => void;
  readonly forget: (id: number) => void;
  /** On a narrow screen the ticket is a sheet from below. */
  readonly isTicketUp: boolean;
  readonly liftTicket: (isUp: boolean) => void;
};

const Context = createContext<Desk | null>(null);
export const TOASTS_MAX = 3;
let toastIds = 0;

const onHash = (listener: () => void) => {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
};
const hash = () => decodeURIComponent(location.hash.slice(1));

/** The market in the address, or the first there is. */
export function DeskProvider({ first, children }: { first: string; children: ReactNode }) {
  const asked = useSyncExternalStore(onHash, hash);
  const [sheet, show] = useState<SheetNow>(null);
  const [toasts, setToasts] = useState<readonly Toast[]>([]);
  const [isTicketUp, liftTicket] = useState(false);
  const say = useCallback((toast: Omit<Toast, "id">) => {
    setToasts((before) => [...before, { ...toast, id: ++toastIds }].slice(-TOASTS_MAX));
  }, []);
  const forget = useCallback((id: number) => setToasts((before) => before.filter((toast) => toast.id !== id)), []);
  const place = PLACES.find((name) => asked === `/${name}`) ?? "trade";
  const last = useRef("");
  if (place === "trade") last.current = asked;
  const ticker = last.current || first;
  const desk = useMemo(
    () => ({ place, ticker, sheet, show, toasts, say, forget, isTicketUp, liftTicket }),
    [place, ticker, sheet, toasts, say, forget, isTicketUp],
  );
  return <Context.Provider value={desk}>{children}</Context.Provider>;
}

export function useDesk(): Desk {
  const desk = useContext(Context);
  if (desk === null) throw new Error("use this inside of a DeskProvider");
  return desk;
}

/** Something that the browser remembers for this venue. Private windows remember nothing. */
export function useKept<T>(name: string, first: T): [T, (value: T) => void] {
  const place = `perps.${name}`;
  const [value, setValue] = useState<T>(() => {
    try {
      return JSON.parse(localStorage.getItem(place) ?? "") as T;
    } catch {
      return first;
    }
  });
  const keep = useCallback(
    (next: T) => {
      setValue(next);
      try {
        localStorage.setItem(place, JSON.stringify(next));
      } catch {
        // It is remembered until the tab is closed.
      }
    },
    [place],
  );
  return [value, keep];
}
