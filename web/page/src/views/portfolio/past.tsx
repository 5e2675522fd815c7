import { usePastPositions } from "../../hooks";
import { PositionsTable } from "./tables";

/** Past positions, below the chart. */
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
      <PositionsTable rows={positions} />
    </div>
  );
}
