/** Tables of what is past: positions, trades, money. */
import type { Position, Transaction, UserTrade } from "../api/venue";
import type { Cell } from "../words/csv";
import * as say from "../words/numbers";
import { Gain } from "./parts";
import { SideTag } from "./sidetag";

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

/** Funding as what it did to the wallet: what was paid is below 0. */
export const paid = (funding: string): string => say.money(-Number(funding), { isSigned: true });

const DID = { open: "opened", close: "closed", liquidation: "liquidated", settlement: "settled" } as const;
const BY = { take_profit: " by its take-profit", stop_loss: " by its stop" } as const;

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
