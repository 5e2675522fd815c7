import { useWalletBalance } from "../../hooks";
import * as say from "../../words/numbers";
import { Gain } from "../frame/parts";

/** The user's money in the ticket's column. */
export function Money() {
  const wallet = useWalletBalance();
  if (wallet === null) return null;
  return (
    <section className="money ages" aria-label="Your money">
      <div className="row">
        <span className="muted">Equity</span>
        <b className="total" data-testid="wallet-equity" data-value={wallet.equity}>
          {say.money(wallet.equity)}
        </b>
      </div>
      <div className="row s">
        <span className="faint">In margin</span>
        <span>{say.money(wallet.margin)}</span>
      </div>
      <div className="row s">
        <span className="faint">Unrealised</span>
        <Gain value={wallet.unrealized} />
      </div>
      <div className="row s">
        <abbr className="faint term" title="What all your closed positions have gained or lost, before fees.">
          Lifetime PnL
        </abbr>
        <Gain value={wallet.lifetimePnL} />
      </div>
    </section>
  );
}
