/** Tables of what is past: positions, trades, money. */
import type { Order, Position, Transaction, UserTrade } from "../../api/venue";
import type { ByMarket } from "../../hooks/useByMarket";
import type { Cell } from "../../words/csv";
import * as say from "../../words/numbers";
import { amountOf, inText, whyOf } from "../../words/orders";
import { Gain, paid } from "../frame/parts";
import { SideTag } from "../frame/sidetag";

export const KINDS: Readonly<Record<string, string>> = {
  deposit: "Paid in",
  withdrawal: "Paid out",
  margin: "Margin",
  margin_return: "Margin back",
  profit: "Profit",
  loss: "Loss",
  fee: "Fee",
  referral: "Referral share",
  liquidation_fee: "Liquidation fee",
  order_reserve: "Set aside for an order",
  order_return: "Back from an order",
};

function When({ at, className = "faint" }: { at: string; className?: string }) {
  return (
    <td className={className} title={say.moment(at)}>
      {say.day(at)} {say.time(at)}
    </td>
  );
}

export function PositionsTable({ rows }: { rows: readonly Position[] }) {
  return (
    <table className="t thin">
      <thead>
        <tr>
          <th>Position</th>
          <th className="num">Size, USD</th>
          <th className="num">Entry → exit</th>
          <th className="num wide-only">Funding</th>
          <th className="wide-only">Ended</th>
          <th className="num">PnL before fees</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((position) => (
          <tr key={position.id}>
            <td className="c-name">
              <b>{say.base(position.ticker)}</b> <SideTag position={position} />{" "}
              {position.status === "liquidated" && <span className="tag caution">liquidated</span>}
            </td>
            <td className="num" data-k="Size, USD">
              {say.money(position.size)}
            </td>
            <td className="num" data-k="Entry → exit">
              {say.money(position.entryPrice)} → {say.money(position.exitPrice ?? position.markPrice)}
            </td>
            <td className="num wide-only">{paid(position.fundingPaid)}</td>
            <When at={position.closedAt ?? position.openedAt} className="faint wide-only" />
            <td className="num c-pnl">
              <Gain value={position.realizedPnL ?? "0"} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const ENDED = { open: "waits", filled: "filled", expired: "expired" } as const;

/** Orders that have ended. */
export function EndedTable({ rows }: { rows: readonly Order[] }) {
  return (
    <table className="t thin">
      <thead>
        <tr>
          <th>Ended</th>
          <th>Order</th>
          <th className="num">Size, USD</th>
          <th className="num">Price</th>
          <th className="num">Filled at</th>
          <th>How it ended</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((order) => (
          <tr key={order.id}>
            <When at={order.closedAt ?? order.placedAt} />
            <td>
              <b>{say.base(order.ticker)}</b> <SideTag position={order} /> {inText(order)}
              {order.twap && ` in ${order.twap.slices} parts`}
            </td>
            <td className="num">{order.size === null ? `${amountOf(order)} of it` : say.money(order.size)}</td>
            <td className="num">{say.money(order.price)}</td>
            <td className="num">{order.averagePrice === null ? "" : say.money(order.averagePrice)}</td>
            <td>
              {order.status !== "cancelled"
                ? ENDED[order.status]
                : order.reason === "owner"
                  ? "cancelled by you"
                  : whyOf(order, null)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** What each market has brought, USD. */
export function MarketsTable({ rows }: { rows: readonly ByMarket[] }) {
  return (
    <table className="t thin" data-testid="by-market">
      <thead>
        <tr>
          <th>Market</th>
          <th className="num">In all</th>
          <th className="num">Realised</th>
          <th className="num">Open now</th>
          <th className="num">Fees</th>
          <th className="num" title="It is in the realised profit already.">
            Funding
          </th>
          <th className="num">Volume</th>
          <th className="num">Trades</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.ticker}>
            <td>
              <a href={`#${row.ticker}`}>
                <b>{say.base(row.ticker)}</b>
              </a>
            </td>
            <td className="num">
              <Gain value={row.all} id={`by-market-${row.ticker}`} />
            </td>
            <td className="num">
              <Gain value={row.realised} />
            </td>
            <td className="num">
              <Gain value={row.unrealised} />
            </td>
            <td className="num">{say.money(row.fees)}</td>
            <td className="num">{paid(row.funding)}</td>
            <td className="num">{say.compact(row.volume)}</td>
            <td className="num">{row.trades}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const DID = {
  open: "opened",
  close: "closed",
  liquidation: "liquidated",
  settlement: "settled",
  deleverage: "deleveraged",
} as const;
const BY = {
  take_profit: " by its take-profit",
  stop_loss: " by its stop",
  trailing_stop: " by its trailing stop",
} as const;

export function TradesTable({ rows }: { rows: readonly UserTrade[] }) {
  return (
    <table className="t thin">
      <thead>
        <tr>
          <th>When</th>
          <th>What</th>
          <th className="num">Size, USD</th>
          <th className="num">Price</th>
          <th className="num">Fee</th>
          <th className="num">Funding</th>
          <th className="num">PnL before fees</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((trade) => (
          <tr key={trade.id}>
            <When at={trade.at} />
            <td>
              <b>{say.base(trade.ticker)}</b> {trade.side} {DID[trade.kind]}
              {trade.reason && BY[trade.reason]}
            </td>
            <td className="num">{say.money(trade.size)}</td>
            <td className="num">{say.money(trade.price)}</td>
            <td className="num">{say.money(trade.fee.amount)}</td>
            <td className="num">{paid(trade.funding)}</td>
            <td className="num">{trade.kind === "open" ? "" : <Gain value={trade.realizedPnL ?? "0"} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function MoneyTable({ rows, isShort = false }: { rows: readonly Transaction[]; isShort?: boolean }) {
  return (
    <table className="t thin" data-testid="transactions">
      <thead>
        <tr>
          <th>When</th>
          <th>What</th>
          <th className="num">Amount</th>
          <th className="num">Wallet</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((one) => (
          <tr key={one.id}>
            {isShort ? (
              <td className="faint" title={say.moment(one.at)}>
                {say.time(one.at)}
              </td>
            ) : (
              <When at={one.at} />
            )}
            <td>
              {KINDS[one.type] ?? one.type}{" "}
              {!isShort && one.relatedId && <span className="faint">{one.relatedId}</span>}
            </td>
            <td className="num">{say.money(one.amount, { isSigned: true })}</td>
            <td className="num faint">{say.money(one.balanceAfter)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

type Table<T> = { readonly heads: readonly string[]; readonly cells: (row: T) => readonly Cell[] };

/** The same tables for a spreadsheet: exact values, times in UTC. */
export const SHEETS: {
  readonly positions: Table<Position>;
  readonly orders: Table<Order>;
  readonly trades: Table<UserTrade>;
  readonly money: Table<Transaction>;
} = {
  positions: {
    heads:
      "id,market,side,leverage,quantity,size,entryPrice,exitPrice,fundingPaid,realizedPnL,status,openedAt,closedAt".split(
        ",",
      ),
    cells: (one) => [
      one.id,
      one.ticker,
      one.side,
      one.leverage,
      one.quantity,
      one.size,
      one.entryPrice,
      one.exitPrice,
      one.fundingPaid,
      one.realizedPnL,
      one.status,
      one.openedAt,
      one.closedAt,
    ],
  },
  orders: {
    heads:
      "id,market,type,side,size,leverage,price,averagePrice,takeProfit,stopLoss,status,reason,position,placedAt,expiresAt,closedAt,share,callback,slices,slicesDone,filled".split(
        ",",
      ),
    cells: (one) => [
      one.id,
      one.ticker,
      one.type,
      one.side,
      one.size,
      one.leverage,
      one.price,
      one.averagePrice,
      one.takeProfit,
      one.stopLoss,
      one.status,
      one.reason,
      one.positionId,
      one.placedAt,
      one.expiresAt,
      one.closedAt,
      one.percentage,
      one.callback,
      one.twap?.slices ?? null,
      one.twap?.done ?? null,
      one.twap?.filled ?? null,
    ],
  },
  trades: {
    heads: "id,at,market,position,kind,reason,side,price,quantity,size,fee,funding,realizedPnL".split(","),
    cells: (one) => [
      one.id,
      one.at,
      one.ticker,
      one.positionId,
      one.kind,
      one.reason,
      one.side,
      one.price,
      one.quantity,
      one.size,
      one.fee.amount,
      one.funding,
      one.realizedPnL,
    ],
  },
  money: {
    heads: "id,at,type,amount,balanceBefore,balanceAfter,relatedId".split(","),
    cells: (one) => [one.id, one.at, one.type, one.amount, one.balanceBefore, one.balanceAfter, one.relatedId],
  },
};
