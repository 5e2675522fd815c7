import { useHolder, useTab, useTransactions, useWalletBalance } from "../../hooks";
import { useEquity } from "../../hooks/useHistory";
import * as say from "../../words/numbers";
import { Gain } from "../frame/parts";
import { Sheet, SheetHead } from "../frame/sheet";
import { EquityCurve } from "../portfolio/curve";
import { MoneyTable } from "../portfolio/tables";
import { nameOf } from "../ticket/fields";
import { SignIn } from "./signin";

export function WalletSheet({ onClose }: { onClose: () => void }) {
  const holder = useHolder();
  const { sessions } = useTab();
  const wallet = useWalletBalance();
  const { transactions, isLoading } = useTransactions();
  const { points } = useEquity("7d");
  const out = () => {
    sessions.signOut();
    onClose();
  };
  if (holder === null) return <SignIn onClose={onClose} />;
  if (holder.userId === null)
    return (
      <Sheet label="Operator" onClose={onClose}>
        <SheetHead title="Operator" onClose={onClose} />
        <p className="muted">
          This key runs the venue and trades for nobody. To trade, sign in with a key that belongs to a user.
        </p>
        <button className="btn" onClick={out}>
          Sign out
        </button>
      </Sheet>
    );
  return (
    <Sheet label="Wallet" onClose={onClose}>
      <SheetHead title={nameOf(holder.userId)} onClose={onClose} />
      {wallet && (
        <dl className="preview">
          <div>
            <dt>Available</dt>
            <dd>{say.spendable(wallet.available)}</dd>
          </div>
          <div>
            <dt>In margin</dt>
            <dd>{say.money(wallet.margin)}</dd>
          </div>
          <div>
            <dt>Unrealised</dt>
            <dd>
              <Gain value={wallet.unrealized} />
            </dd>
          </div>
          <div>
            <dt>Lifetime PnL, before fees</dt>
            <dd>
              <Gain value={wallet.lifetimePnL} />
            </dd>
          </div>
          <div>
            <dt>Fees so far</dt>
            <dd>{say.money(wallet.totalFees)}</dd>
          </div>
          <div className="liqrow">
            <dt>Equity</dt>
            <dd>{say.money(wallet.equity)}</dd>
          </div>
        </dl>
      )}
      {points.length > 1 && <EquityCurve points={points} name="Equity of seven days" />}
      <a className="link" href="#/portfolio" onClick={onClose}>
        Portfolio: how your equity went, history, files
      </a>
      <section>
        <h3 className="sub">Transactions</h3>
        <div className="over short" role="region" aria-label="Transactions" tabIndex={0}>
          <MoneyTable rows={transactions} isShort />
          {transactions.length === 0 && <p className="empty">{isLoading ? "Reading…" : "Nothing has moved yet."}</p>}
        </div>
      </section>
      <button className="btn" onClick={out}>
        Sign out
      </button>
    </Sheet>
  );
}
