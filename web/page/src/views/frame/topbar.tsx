import { useConnection, useHolder, useWalletBalance } from "../../hooks";
import * as say from "../../words/numbers";
import { useDesk } from "./desk";
import { Brand, Fading, Icon } from "./parts";
import { switchTheme } from "./theme";

export function TopBar() {
  const { show } = useDesk();
  return (
    <header className="topbar">
      <a className="brand" href="#" aria-label="perps, the first market">
        <Brand />
        <span className="word">perps</span>
      </a>
      <Nav />
      <div className="end">
        <button className="find" aria-label="Find a market" onClick={() => show({ name: "switcher" })}>
          <Icon name="find" />
          <span>Find a market</span>
          <kbd>/</kbd>
        </button>
        <Heard />
        <button className="btn quiet icon" aria-label="Switch between light and dark" onClick={switchTheme}>
          <Icon name="theme" />
        </button>
        <Purse />
      </div>
    </header>
  );
}

function Nav() {
  const { place, ticker } = useDesk();
  const holder = useHolder();
  const here = (name: string) => (place === name ? ("page" as const) : undefined);
  return (
    <nav className="tabs" aria-label="Pages">
      <a href={`#${ticker}`} aria-current={here("trade")}>
        Trade
      </a>
      {holder?.userId !== null && (
        <a href="#/portfolio" aria-current={here("portfolio")}>
          Portfolio
        </a>
      )}
      {holder?.isOperator && (
        <a href="#/operator" aria-current={here("operator")}>
          Operator
        </a>
      )}
    </nav>
  );
}

/** Whether the venue is heard, and as of which row. */
function Heard() {
  const { phase, ageS, offset } = useConnection();
  const isLate = phase === "cut";
  const row = offset.toLocaleString();
  return (
    <span
      className="conn"
      role="status"
      data-testid="connection"
      data-phase={phase}
      data-is={isLate ? "late" : undefined}
      title={`You see everything that the venue has written down up to row ${row}.`}
    >
      <i className="dot" />
      {phase === "live" && <span>Live</span>}
      {phase === "connecting" && <span>Connecting</span>}
      {isLate && <span>{ageS < 2 ? "Reconnecting" : `${ageS} s old`}</span>}
      {offset > 0 && (
        <span className="faint row-no" aria-hidden="true">
          row {row}
        </span>
      )}
    </span>
  );
}

function Purse() {
  const { show } = useDesk();
  const holder = useHolder();
  const wallet = useWalletBalance();
  if (holder === null)
    return (
      <button className="btn primary" onClick={() => show({ name: "signin" })}>
        Sign in
      </button>
    );
  if (holder.userId === null)
    return (
      <button className="wallet" aria-haspopup="dialog" onClick={() => show({ name: "wallet" })}>
        <span>
          <small>Signed in as</small>
          <b>Operator</b>
        </span>
        <Icon name="down" />
      </button>
    );
  const name = holder.userId;
  return (
    <button className="wallet" aria-haspopup="dialog" onClick={() => show({ name: "wallet" })}>
      <span>
        <small>Available</small>
        <b data-testid="wallet-available" data-value={wallet?.available}>
          {wallet ? <Fading>{say.spendable(wallet.available)}</Fading> : "…"}
        </b>
      </span>
      <span className="avatar" aria-hidden="true">
        {name.slice(0, 1).toUpperCase()}
      </span>
      <span className="vh">{name}, open the wallet</span>
      <Icon name="down" />
    </button>
  );
}

/** What one sees is no longer live: since when, and what happens. */
export function LateBar() {
  const { isStale, heardAt, ageS } = useConnection();
  if (!isStale) return null;
  return (
    <div className="late-bar" role="alert" data-testid="late">
      <Icon name="note" />
      <span>
        Connection lost. You see {say.time(heardAt)}, <span aria-live="off">{ageS} s ago</span>. Reconnecting; nothing
        you sent is lost.
      </span>
    </div>
  );
}
