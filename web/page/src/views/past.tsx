import { usePastPositions } from "../hooks";
import * as say from "../words/numbers";
import { SideTag } from "./sidetag";
import { Gain } from "./parts";

/** Past positions. */
export function Past() {
  const { positions, isLoading } = usePastPositions(true);
  if (positions.length === 0)
    return (
      <div className="empty">
        <span>{isLoading ? "Reading…" : "Nothing closed yet."}</span>
      </div>
    );
  return (
    <div className="scroll ages" tabIndex={0} role="region" aria-label="Past positions">
      <table className="t thin">
        <thead>
          <tr>
            <th>Position</th>
            <th className="num">Size, USD</th>
            <th className="num">Entry → exit</th>
            <th className="wide-only">Ended</th>
            <th className="num">PnL before fees</th>
          </tr>
        </thead>
        <tbody>
          {positions.map((position) => (
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
              <td className="faint wide-only" title={say.moment(position.closedAt ?? position.openedAt)}>
                {say.day(position.closedAt ?? position.openedAt)} {say.time(position.closedAt ?? position.openedAt)}
              </td>
              <td className="num c-pnl">
                <Gain value={position.realizedPnL ?? "0"} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
