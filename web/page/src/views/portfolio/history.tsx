/** One's own past: tables, each as a file; and what each market has brought. */
import { type ReactNode, useState } from "react";
import { NoAnswer, Refused } from "../../api/venue";
import { useByMarket } from "../../hooks/useByMarket";
import { type History, type Kind, type Rows, useHistory } from "../../hooks/useHistory";
import { csv, save } from "../../words/csv";
import { plainly } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Tabs } from "../frame/parts";
import { EndedTable, MarketsTable, MoneyTable, PositionsTable, SHEETS, TradesTable } from "./tables";

const EMPTY = {
  positions: ["Nothing closed yet", "Positions that you close, and those that are liquidated, are listed here."],
  orders: ["No order has ended yet", "Orders that filled, that you cancelled and that expired are listed here."],
  trades: ["No trades yet", "What you trade is listed here."],
  money: ["Nothing has moved yet", "What enters and leaves your wallet is listed here."],
} as const;

type Tab = Kind | "markets";

/** What one did, and what it brought. */
export function Past() {
  const [kind, setKind] = useState<Tab>("positions");
  return (
    <section className="panel" aria-labelledby="h-history">
      <h2 className="vh" id="h-history">
        History
      </h2>
      {kind === "positions" ? (
        <Positions kind={kind} onPick={setKind} />
      ) : kind === "orders" ? (
        <Orders kind={kind} onPick={setKind} />
      ) : kind === "trades" ? (
        <Trades kind={kind} onPick={setKind} />
      ) : kind === "money" ? (
        <Money kind={kind} onPick={setKind} />
      ) : (
        <ByMarket onPick={setKind} />
      )}
    </section>
  );
}

type PastProps = { kind: Kind; onPick: (kind: Tab) => void };

function Head({ now, onPick, children }: { now: Tab; onPick: (kind: Tab) => void; children?: ReactNode }) {
  return (
    <div className="head lined">
      <Tabs
        label="History"
        now={now}
        onPick={onPick}
        all={[
          { name: "positions", title: "Closed" },
          { name: "orders", title: "Orders" },
          { name: "trades", title: "Trades" },
          { name: "money", title: "Money" },
          { name: "markets", title: "By market" },
        ]}
      />
      {children}
    </div>
  );
}

function Positions(props: PastProps) {
  const history = useHistory("positions");
  return (
    <Listed {...props} history={history} sheet={SHEETS.positions}>
      <PositionsTable rows={history.rows} />
    </Listed>
  );
}

function Orders(props: PastProps) {
  const history = useHistory("orders");
  return (
    <Listed {...props} history={history} sheet={SHEETS.orders}>
      <EndedTable rows={history.rows} />
    </Listed>
  );
}

function Trades(props: PastProps) {
  const history = useHistory("trades");
  return (
    <Listed {...props} history={history} sheet={SHEETS.trades}>
      <TradesTable rows={history.rows} />
    </Listed>
  );
}

function Money(props: PastProps) {
  const history = useHistory("money");
  return (
    <Listed {...props} history={history} sheet={SHEETS.money}>
      <MoneyTable rows={history.rows} />
    </Listed>
  );
}

type ListedProps<K extends Kind> = PastProps & {
  history: History<K>;
  sheet: {
    readonly heads: readonly string[];
    readonly cells: (row: Rows[K]) => readonly (string | number | null | undefined)[];
  };
  children: ReactNode;
};

function Listed<K extends Kind>({ kind, onPick, history, sheet, children }: ListedProps<K>) {
  const { say: tell } = useDesk();
  const [isSaving, setSaving] = useState(false);
  const { rows, more, all, isLoading } = history;
  const keep = async () => {
    setSaving(true);
    try {
      const text = csv(sheet.heads, (await all()).map(sheet.cells));
      save(`perps-${kind}-${new Date().toISOString().slice(0, 10)}.csv`, text);
    } catch (error) {
      const isKnown = error instanceof Refused || error instanceof NoAnswer;
      if (!isKnown) throw error;
      tell({ kind: "note", title: "Not saved", text: error instanceof Refused ? plainly(error) : "No answer." });
    } finally {
      setSaving(false);
    }
  };
  return (
    <>
      <Head now={kind} onPick={onPick}>
        <button
          className="btn"
          data-testid="save-csv"
          disabled={isSaving || rows.length === 0}
          onClick={() => void keep()}
        >
          {isSaving ? "Reading…" : "Save as CSV"}
        </button>
      </Head>
      {rows.length === 0 ? (
        <div className="empty">
          {isLoading ? (
            <span>Reading…</span>
          ) : (
            <>
              <b>{EMPTY[kind][0]}</b>
              <span>{EMPTY[kind][1]}</span>
            </>
          )}
        </div>
      ) : (
        <div className="over ages" role="region" tabIndex={0} aria-label="Rows">
          {children}
        </div>
      )}
      {rows.length > 0 && (
        <p className="under pad">
          {more ? (
            <button className="link" onClick={more}>
              Show more
            </button>
          ) : (
            `All ${rows.length}.`
          )}
        </p>
      )}
    </>
  );
}

const SUMS = ["realised", "fees", "funding", "unrealised", "all", "volume", "trades"] as const;

/** What each market has brought. */
function ByMarket({ onPick }: { onPick: (kind: Tab) => void }) {
  const { rows, isLoading, isAll } = useByMarket();
  return (
    <>
      <Head now="markets" onPick={onPick}>
        <button
          className="btn"
          data-testid="save-csv"
          disabled={rows.length === 0}
          onClick={() => {
            const text = csv(["market", ...SUMS], rows.map((row) => [row.ticker, ...SUMS.map((name) => row[name])])); // prettier-ignore
            save(`perps-markets-${new Date().toISOString().slice(0, 10)}.csv`, text);
          }}
        >
          Save as CSV
        </button>
      </Head>
      {rows.length === 0 ? (
        <div className="empty">
          <span>{isLoading ? "Reading…" : "What each market has brought you is listed here."}</span>
        </div>
      ) : (
        <div className="over ages" role="region" tabIndex={0} aria-label="Rows">
          <MarketsTable rows={rows} />
        </div>
      )}
      {rows.length > 0 && (
        <p className="under pad">
          {isAll ? "Of all your trades." : "Of your newest trades: there are more than are read here."} All of it is
          what you realised, less fees, and what is open.
        </p>
      )}
    </>
  );
}
