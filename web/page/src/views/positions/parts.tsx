import { useEffect, useState } from "react";
import type { Market, Order } from "../../api/venue";
import { type LivePosition, useCancel, useConnection, useOrders } from "../../hooks";
import { pnlNow, times } from "../../live/money";
import * as say from "../../words/numbers";
import { isExitOf, shareName, typeName } from "../../words/orders";
import { plainly } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Gain } from "../frame/parts";
import { ExitOrderForm } from "../orders/exit";

/** The exits of a position by shares: those that wait, and a new one. */
export function PartsForm({ position, market }: { position: LivePosition; market: Market }) {
  const exits = (useOrders() ?? []).filter((order) => isExitOf(order, position.id));
  const [placed, setPlaced] = useState(0);
  return (
    <>
      {exits.length > 0 && (
        <ul className="exits-list" aria-label="Exits that wait" data-testid="exit-orders">
          {exits.map((order) => (
            <Exit key={order.id} order={order} position={position} market={market} />
          ))}
        </ul>
      )}
      <ExitOrderForm key={placed} position={position} market={market} onDone={() => setPlaced(placed + 1)} />
    </>
  );
}

function Exit({ order, position, market }: { order: Order; position: LivePosition; market: Market }) {
  const { show, say: tell } = useDesk();
  const { isStale } = useConnection();
  const { cancel, progress, isPending, reset } = useCancel();
  useEffect(() => {
    if (progress.phase !== "refused") return;
    tell({ kind: "note", title: `${typeName(order)} not cancelled`, text: plainly(progress.refusal, market) });
    reset();
  }, [progress, reset, tell, order, market]);
  const name = `${typeName(order).toLowerCase()} at ${say.price(order.price, market.tickSize)}`;
  return (
    <li data-testid={`exit-order-${order.id}`}>
      <span>
        <b>{typeName(order)}</b> {say.price(order.price, market.tickSize)}
        <small>
          {shareName(order.percentage)}, about{" "}
          <Gain value={times(pnlNow(position, order.price), order.percentage ?? "1")} />
        </small>
      </span>
      <button
        type="button"
        className="btn quiet"
        data-testid={`exit-edit-${order.id}`}
        aria-label={`Change ${name}`}
        onClick={() => show({ name: "order", orderId: order.id })}
      >
        Change
      </button>
      <button
        type="button"
        className="btn"
        data-testid={`exit-cancel-${order.id}`}
        aria-label={`Cancel ${name}`}
        aria-disabled={isPending || isStale}
        onClick={() => void (isPending || isStale || cancel(order.id))}
      >
        {isPending ? "Cancelling…" : "Cancel"}
      </button>
    </li>
  );
}
