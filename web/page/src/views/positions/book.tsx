import { memo, useState } from "react";
import { type LivePosition, useKnown, useMarket, useOrders, useSession, useUserPositions } from "../../hooks";
import type { Order } from "../../api/venue";
import { sum } from "../../live/money";
import * as say from "../../words/numbers";
import { isExitOf } from "../../words/orders";
import { useDesk } from "../frame/desk";
import { OrdersTable, Past } from "../frame/later";
import { Gain, Tabs, paid, vars } from "../frame/parts";
import { SideTag } from "../frame/sidetag";
import { Tape } from "../market/tape";

/** Below this share of the way to the entry a position is near its liquidation. */
const NEAR = 1 / 3;
/** Less money than this is shown as 0.00. */
const LEAST_SHOWN = 0.005;
type Tab = "open" | "history" | "trades";

/** What one holds and held; on narrow screens also the trades of all. */
export const Book = memo(function Book({ ticker, tickSize }: { ticker: string; tickSize: string }) {
  const session = useSession();
  const positions = useUserPositions();
  const orders = useOrders();
  const { show } = useDesk();
  const [tab, setTab] = useState<Tab>("open");
  const [count, waiting] = [positions?.length ?? 0, orders?.length ?? 0];
  return (
    <section className="book" aria-labelledby="h-book">
      <h2 className="vh" id="h-book">
        Your positions
      </h2>
      <div className="head">
        <Tabs
          label="Positions"
          now={tab}
          onPick={setTab}
          all={[
            { name: "open", title: <Counts open={count} orders={waiting} /> },
            { name: "history", title: "History" },
            { name: "trades", title: "Trades", className: "small-only" },
          ]}
        />
        {tab === "open" && positions && positions.length > 0 && (
          <span className="muted ages row">
            <span>
              Unrealised <Gain id="unrealised" value={sum("0", ...positions.map((position) => position.pnl))} />
            </span>
            {positions.length > 1 && (
              <button className="btn quiet" data-testid="close-all" onClick={() => show({ name: "close-all" })}>
                Close all
              </button>
            )}
          </span>
        )}
      </div>
      {tab === "trades" ? (
        <div className="tape inner">
          <Tape ticker={ticker} tickSize={tickSize} />
        </div>
      ) : session === null ? (
        <div className="empty">
          <b>Your positions will be here</b>
          <span>Sign in to trade.</span>
        </div>
      ) : tab === "open" ? (
        <Open positions={positions} orders={orders} />
      ) : (
        <Past />
      )}
    </section>
  );
});

function Counts({ open, orders }: { open: number; orders: number }) {
  return (
    <>
      Open{open > 0 && <span className="n">{open}</span>}
      {orders > 0 && (
        <>
          , orders<span className="n">{orders}</span>
        </>
      )}
    </>
  );
}

type OpenProps = { positions: readonly LivePosition[] | null; orders: readonly Order[] | null };

/** Positions, and below them the orders that wait: no hunting. */
function Open({ positions, orders }: OpenProps) {
  const total = useKnown((known) => known.state.user?.openPositions ?? 0);
  if (positions === null || orders === null) return <div className="empty" aria-busy="true" />;
  if (positions.length + orders.length === 0)
    return (
      <div className="empty">
        <b>No open positions</b>
        <span>Pick a side in the ticket. Until you confirm, nothing is spent.</span>
      </div>
    );
  return (
    <div className="scroll ages" tabIndex={0} role="region" aria-label="Open positions and orders">
      {positions.length > 0 && <Positions positions={positions} orders={orders} total={total} />}
      {orders.length > 0 && <OrdersTable orders={orders} />}
    </div>
  );
}

type PositionsProps = { positions: readonly LivePosition[]; orders: readonly Order[]; total: number };

function Positions({ positions, orders, total }: PositionsProps) {
  return (
    <>
      <table className="t">
        <thead>
          <tr>
            <th>Position</th>
            <th className="num">Size, USD</th>
            <th className="num">Entry → mark</th>
            <th>To liquidation</th>
            <th className="num wide-only opt">Margin</th>
            <th className="num exits">Profit, stop</th>
            <th className="num">
              <abbr className="term" title="Profit and loss by now, before fees, and as per cent of the margin.">
                PnL
              </abbr>
            </th>
            <th>
              <span className="vh">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {positions.map((position) => (
            <Row
              key={position.id}
              position={position}
              parts={orders.filter((order) => isExitOf(order, position.id)).length}
            />
          ))}
        </tbody>
      </table>
      {total > positions.length && (
        <p className="under middle">
          The newest {positions.length} of {total}.
        </p>
      )}
    </>
  );
}

function Row({ position, parts }: { position: LivePosition; parts: number }) {
  const { show } = useDesk();
  const market = useMarket(position.ticker);
  const [tick, lot] = [market?.tickSize ?? "0.01", market?.lotSize ?? "0.0001"];
  const name = say.base(position.ticker);
  const { room } = position;
  const isNear = room !== null && room.at < NEAR / 2;
  return (
    <tr data-testid={`position-${position.id}`}>
      <td className="c-name">
        <a href={`#${position.ticker}`}>
          <b>{name}</b>
        </a>{" "}
        <SideTag position={position} />
        <small>
          {say.quantity(position.quantity, lot)} {name}
        </small>
      </td>
      <td className="num" data-k="Size, USD" data-value={position.size}>
        {say.money(position.size)}
      </td>
      <td className="num" data-k="Entry → mark">
        {say.price(position.entryPrice, tick)}
        <small>{say.price(position.mark, tick)}</small>
      </td>
      <td className="c-dist">
        {room && (
          <div className="dist">
            <span>
              <b className={isNear ? "warn" : ""}>{say.percent(Math.max(0, room.away), 1)} away</b>
              <span className="faint">{say.price(position.liquidationPrice ?? 0, tick)}</span>
            </span>
            <span
              className={isNear ? "gauge near" : "gauge"}
              style={vars({ "--v": `${room.at * 100}%` })}
              role="meter"
              aria-valuemin={0}
              aria-valuemax={100}
              aria-valuenow={Math.round(room.at * 100)}
              aria-label={isNear ? "Room to liquidation, small" : "Room to liquidation"}
            >
              <i />
            </span>
          </div>
        )}
      </td>
      <td className="num wide-only opt">
        {say.money(position.margin)}
        {Math.abs(Number(position.fundingPaid)) >= LEAST_SHOWN && <small>funding {paid(position.fundingPaid)}</small>}
      </td>
      <td className="num exits" data-k="Profit, stop" data-testid={`position-exits-${position.id}`}>
        <Exit price={position.takeProfit} tick={tick} />
        {parts > 0 && (
          <button
            className="link more"
            data-testid={`position-parts-${position.id}`}
            aria-label={`${parts} exits by share of ${name}`}
            onClick={() => show({ name: "edit", positionId: position.id, tab: "parts" })}
          >
            +{parts}
          </button>
        )}
        <small>
          <Exit price={position.stopLoss} tick={tick} />
        </small>
      </td>
      <td className="num c-pnl">
        <Gain id={`position-pnl-${position.id}`} value={position.pnl} />
        <small className={Number(position.pnl) < 0 ? "down" : "up"}>
          {say.percent(Number(position.pnlPercent) / 100, 1, { isSigned: true })}
        </small>
      </td>
      <td className="c-acts">
        <span className="acts">
          {isNear && (
            <button
              className="btn quiet"
              onClick={() => show({ name: "edit", positionId: position.id, tab: "margin" })}
            >
              Add margin
            </button>
          )}
          <button
            className="btn quiet"
            data-testid={`position-edit-${position.id}`}
            aria-label={`Edit ${name} ${position.side}`}
            onClick={() => show({ name: "edit", positionId: position.id })}
          >
            Edit
          </button>
          <button
            className="btn"
            data-testid={`position-close-${position.id}`}
            aria-label={`Close ${name} ${position.side}`}
            onClick={() => show({ name: "close", positionId: position.id })}
          >
            Close
          </button>
        </span>
      </td>
    </tr>
  );
}

function Exit({ price, tick }: { price: string | null; tick: string }) {
  return price === null ? <span className="faint">–</span> : <>{say.price(price, tick)}</>;
}
