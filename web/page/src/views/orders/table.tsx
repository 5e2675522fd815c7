import { memo, useEffect } from "react";
import type { Order } from "../../api/venue";
import { useCancel, useCancelAll, useConnection, useMarket, useNow } from "../../hooks";
import { times } from "../../live/money";
import * as say from "../../words/numbers";
import { amountOf, falls, inText, isForNextPrice, typeName } from "../../words/orders";
import { plainly } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { SideTag } from "../frame/sidetag";

/** Orders that wait, with what one can do about them. */
export function OrdersTable({ orders }: { orders: readonly Order[] }) {
  const { say: tell } = useDesk();
  const { cancelAll, isPending } = useCancelAll();
  const all = async () => {
    const verdict = await cancelAll();
    if (verdict.phase === "done")
      tell({
        kind: "done",
        title: `${verdict.answer.length} orders cancelled`,
        text: "What they kept is back in your wallet.",
      });
    if (verdict.phase === "refused") tell({ kind: "note", title: "Not cancelled", text: plainly(verdict.refusal) });
  };
  return (
    <section aria-labelledby="h-orders" data-testid="orders">
      <div className="sub">
        <h2 id="h-orders">
          Orders that wait <span className="n">{orders.length}</span>
        </h2>
        {orders.length > 1 && (
          <button
            className="btn quiet"
            data-testid="order-cancel-all"
            aria-disabled={isPending}
            onClick={() => void (isPending || all())}
          >
            {isPending ? "Cancelling…" : "Cancel all"}
          </button>
        )}
      </div>
      <table className="t">
        <thead>
          <tr>
            <th>Order</th>
            <th className="num">Size, USD</th>
            <th className="num">Price</th>
            <th className="num exits">Profit, stop</th>
            <th className="num wide-only opt">Set aside</th>
            <th className="num wide-only opt">Waits until</th>
            <th>
              <span className="vh">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {orders.map((order) => (
            <Row key={order.id} order={order} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** How far a TWAP has come: done, left, when the next part is due. */
function Slices({ id, twap }: { id: string; twap: NonNullable<Order["twap"]> }) {
  const now = useNow(1_000);
  const due = twap.nextAt === null ? null : (Date.parse(twap.nextAt) - now) / 1_000;
  return (
    <span data-testid={`order-twap-${id}`} className="block">
      {twap.done} of {twap.slices} parts{twap.skipped > 0 && <span className="warn">, {twap.skipped} skipped</span>}
      <small>
        {say.money(twap.left)} left{due !== null && (due < 1 ? ", the next one now" : `, next in ${say.span(due)}`)}
      </small>
    </span>
  );
}

const Row = memo(function Row({ order }: { order: Order }) {
  const { show, say: tell } = useDesk();
  const { isStale } = useConnection();
  const market = useMarket(order.ticker);
  const { cancel, progress, isPending, reset } = useCancel();
  const tick = market?.tickSize ?? "0.01";
  const name = say.base(order.ticker);
  const now = Number((order.type === "limit" ? market?.currentPrice : market?.markPrice) ?? order.price);
  const away = Math.abs(Number(order.price) / now - 1);
  useEffect(() => {
    if (progress.phase !== "refused") return;
    tell({ kind: "note", title: `${name} order not cancelled`, text: plainly(progress.refusal, market) });
    reset();
  }, [progress, reset, tell, name, market]);
  const exit = (price: string | null) => (price === null ? <span className="faint">–</span> : say.price(price, tick));
  return (
    <tr data-testid={`order-${order.id}`}>
      <td className="c-name c-what">
        <a href={`#${order.ticker}`}>
          <b>{name}</b>
        </a>{" "}
        <SideTag position={order} />
        <small>{typeName(order)}</small>
      </td>
      <td className="num" data-k="Size, USD">
        {order.size === null ? `${amountOf(order)} of it` : say.money(order.size)}
      </td>
      <td className="num" data-k="Price" data-testid={`order-price-${order.id}`} data-value={order.price}>
        {isForNextPrice(order) ? (
          <span className="warn">Waiting for the next price</span>
        ) : order.twap ? (
          <Slices id={order.id} twap={order.twap} />
        ) : order.callback !== null ? (
          <>
            {say.price(order.price, tick)}
            <small>
              {say.plain(times(order.callback, 100))} % behind {say.price(order.extremePrice ?? order.price, tick)}
            </small>
          </>
        ) : (
          <>
            {say.price(order.price, tick)}
            <small>
              or {falls(order) ? "lower" : "higher"}, {say.percent(away, 1)} away
            </small>
          </>
        )}
      </td>
      <td className="num exits" data-k="Profit, stop">
        {exit(order.takeProfit)}
        <small>{exit(order.stopLoss)}</small>
      </td>
      <td className="num wide-only opt">{say.money(order.reserve)}</td>
      <td className="num wide-only opt" title={order.expiresAt ? say.moment(order.expiresAt) : undefined}>
        {order.expiresAt ? `${say.day(order.expiresAt)} ${say.time(order.expiresAt)}` : "you cancel it"}
      </td>
      <td className="c-acts">
        {!isForNextPrice(order) && (
          <span className="acts">
            {!order.twap && (
              <button
                className="btn quiet"
                data-testid={`order-edit-${order.id}`}
                aria-label={`Edit ${inText(order)} ${name} ${order.side}`}
                onClick={() => show({ name: "order", orderId: order.id })}
              >
                Edit
              </button>
            )}
            <button
              className="btn"
              data-testid={`order-cancel-${order.id}`}
              aria-label={`Cancel ${inText(order)} ${name} ${order.side}`}
              aria-disabled={isPending || isStale}
              onClick={() => void (isPending || isStale || cancel(order.id))}
            >
              {isPending ? "Cancelling…" : "Cancel"}
            </button>
          </span>
        )}
      </td>
    </tr>
  );
});
