import { memo, useEffect } from "react";
import { useConnection, useHolder, useMarket, useSession, useTickers } from "../hooks";
import { Book } from "./positions/book";
import { Chart, INTERVALS } from "./market/chart";
import { later, readAhead } from "./frame/later";
import { DeskProvider, useDesk } from "./frame/desk";
import { MarketHead } from "./market/head";
import { Markets } from "./market/markets";
import { Money } from "./positions/money";
import { Icon, Tri } from "./frame/parts";
import { pick } from "./frame/pick";
import { Sheets } from "./frame/sheets";
import { Flow, Tape } from "./market/tape";
import { Ticket } from "./ticket/ticket";
import type { Kind } from "./ticket/fields";
import { Toasts } from "./frame/toasts";
import { LateBar, TopBar } from "./frame/topbar";

export function App() {
  const tickers = useTickers();
  return (
    <DeskProvider first={tickers?.[0] ?? ""}>
      <Page />
    </DeskProvider>
  );
}

const Portfolio = later(async () => (await import("./portfolio/portfolio")).default);
const Operator = later(async () => (await import("./operator/operator")).default);

function Page() {
  const { place, isTicketUp } = useDesk();
  const { isStale } = useConnection();
  const session = useSession();
  useKeys();
  useEffect(() => {
    if (session !== null) (window.requestIdleCallback ?? setTimeout)(readAhead);
  }, [session]);
  useEffect(() => {
    const states = [isStale && "stale", session === null && "signedout", isTicketUp && "ticket"];
    document.documentElement.dataset["state"] = states.filter(Boolean).join(" ");
  }, [isStale, session, isTicketUp]);
  return (
    <>
      <a
        className="skip"
        href="#main"
        onClick={(event) => (event.preventDefault(), document.getElementById("main")?.focus())}
      >
        Skip to the page
      </a>
      <TopBar />
      <LateBar />
      {place === "trade" ? <Trade /> : place === "portfolio" ? <Portfolio /> : <Operator />}
      <Toasts />
      <Dock />
      <Sheets />
    </>
  );
}

function Trade() {
  const { ticker } = useDesk();
  const tickers = useTickers();
  const isThere = useMarket(ticker) !== null;
  return (
    <main className="trade" id="main" tabIndex={-1}>
      <h1 className="vh">{ticker ? `Trade ${ticker}` : "Trade"}</h1>
      <Markets />
      {!isThere ? (
        <div className="panel stage">
          {tickers && (
            <div className="empty" role="status">
              <b>{tickers.length === 0 ? "No markets yet" : `There is no market ${ticker}`}</b>
              <span>{tickers.length === 0 ? "The operator lists them." : "Pick one from the list."}</span>
            </div>
          )}
        </div>
      ) : (
        <>
          <Crowd ticker={ticker} />
          <Stage ticker={ticker} />
          <Order ticker={ticker} />
        </>
      )}
    </main>
  );
}

type At = { ticker: string };

const Crowd = memo(function Crowd({ ticker }: At) {
  const market = useMarket(ticker);
  if (market === null) return null;
  return (
    <section className="panel tape" aria-labelledby="h-tape">
      <div className="head">
        <h2 id="h-tape">Who holds what</h2>
        <span className="faint s">in {market.name}</span>
      </div>
      <Flow market={market} />
      <Tape ticker={ticker} tickSize={market.tickSize} />
    </section>
  );
});

const Stage = memo(function Stage({ ticker }: At) {
  const market = useMarket(ticker);
  if (market === null) return null;
  return (
    <div className="panel stage">
      <MarketHead market={market} />
      <Chart ticker={ticker} tickSize={market.tickSize} />
      <Book ticker={ticker} tickSize={market.tickSize} />
    </div>
  );
});

const Order = memo(function Order({ ticker }: At) {
  const market = useMarket(ticker);
  const { liftTicket } = useDesk();
  if (market === null) return null;
  return (
    <aside className="panel ticket" aria-label="Order ticket and your money">
      <button className="btn quiet icon lower" aria-label="Close the ticket" onClick={() => liftTicket(false)}>
        <Icon name="x" />
      </button>
      <Ticket key={ticker} market={market} />
      <Money />
    </aside>
  );
});

const KIND_KEYS: Readonly<Record<string, Kind>> = { m: "market", i: "limit", t: "stop", w: "twap" };
const pickKind = (kind: Kind) => {
  const button = document.querySelector<HTMLElement>(`[data-testid="ticket-type-${kind}"]`);
  button?.click();
  button?.focus();
};

/** What is under the thumb on a phone. */
function Dock() {
  const { show, liftTicket, isTicketUp, place, ticker } = useDesk();
  const holder = useHolder();
  const raise = (side: "long" | "short") => {
    liftTicket(true);
    requestAnimationFrame(() => pick(side));
  };
  if (isTicketUp) return null;
  const here = (name: string) => (place === name ? ("page" as const) : undefined);
  return (
    <div className="dock">
      {place === "trade" && (
        <div className="do">
          <button className="btn big go-up" onClick={() => raise("long")}>
            <Tri />
            Long
          </button>
          <button className="btn big go-down" onClick={() => raise("short")}>
            <Tri isDown />
            Short
          </button>
        </div>
      )}
      <nav aria-label="Places">
        <button onClick={() => show({ name: "switcher" })}>
          <Icon name="list" />
          Markets
        </button>
        <a href={`#${ticker}`} aria-current={here("trade")} onClick={() => scrollTo({ top: 0 })}>
          <Icon name="candle" />
          Trade
        </a>
        {holder?.userId !== null && (
          <a href="#/portfolio" aria-current={here("portfolio")}>
            <Icon name="case" />
            Portfolio
          </a>
        )}
        {holder?.isOperator && (
          <a href="#/operator" aria-current={here("operator")}>
            <Icon name="note" />
            Operator
          </a>
        )}
        <button onClick={() => show({ name: "wallet" })}>
          <Icon name="purse" />
          {holder?.userId === null ? "Key" : "Wallet"}
        </button>
      </nav>
    </div>
  );
}

function useKeys(): void {
  const { show, sheet, liftTicket } = useDesk();
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLElement && event.target.matches("input, select, textarea");
      const { key } = event;
      if (sheet !== null) return;
      if (key === "Escape") return liftTicket(false);
      if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") show({ name: "switcher" });
      else if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      else if (key === "/") show({ name: "switcher" });
      else if (key === "?") show({ name: "keys" });
      else if (key === "b") show({ name: "wallet" });
      else if (key === "l") pick("long");
      else if (key === "s") pick("short");
      else if (key === "p") ofPosition("edit")?.focus();
      else if (key === "x") ofPosition("close")?.click();
      else if (key in KIND_KEYS) pickKind(KIND_KEYS[key]!);
      else if (key === "[" || key === "]") step(key === "]" ? 1 : -1);
      else if (/^[1-6]$/.test(key)) choose(INTERVALS[Number(key) - 1]);
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [show, sheet, liftTicket]);
}

/** A button of the position that the focus is in, or of the first. */
function ofPosition(what: "edit" | "close"): HTMLElement | null {
  const row = document.activeElement?.closest("tr") ?? document;
  const name = `[data-testid^="position-${what}-"]`;
  return row.querySelector<HTMLElement>(name) ?? document.querySelector<HTMLElement>(name);
}

function choose(interval: string | undefined): void {
  for (const button of document.querySelectorAll<HTMLElement>(".tools .seg button"))
    if (button.textContent === interval) button.click();
}

function step(by: number): void {
  const slider = document.querySelector<HTMLInputElement>(".slider input");
  if (slider === null) return;
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value")?.set;
  set?.call(slider, String(Number(slider.value) + by));
  slider.dispatchEvent(new Event("input", { bubbles: true }));
}
