import Big from "big.js";
import { useState } from "react";
import { useCloseAll, useConnection, useMarkets, useUserPositions } from "../../hooks";
import type { AllClosed } from "../../hooks/useCloseAll";
import { sum } from "../../live/money";
import * as say from "../../words/numbers";
import { plainly } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { Gain, Icon } from "../frame/parts";
import { Sheet, SheetHead } from "../frame/sheet";

/** Close everything one holds, in all markets or in one: asked once, with what it brings. */
export function CloseAllSheet({ onClose }: { onClose: () => void }) {
  const { say: tell, ticker } = useDesk();
  const { isStale } = useConnection();
  const positions = useUserPositions() ?? [];
  const markets = useMarkets() ?? [];
  const { closeAll, progress, isPending } = useCloseAll();
  const here = positions.filter((one) => one.ticker === ticker);
  const hasChoice = here.length > 0 && here.length < positions.length;
  const [isHere, setHere] = useState(false);
  const chosen = isHere && hasChoice ? here : positions;
  const gain = sum("0", ...chosen.map((one) => one.pnl));
  const fee = chosen.reduce((total, one) => {
    const market = markets.find((candidate) => candidate.ticker === one.ticker);
    return total.plus(
      Big(one.quantity)
        .times(market?.currentPrice ?? one.mark)
        .times(market?.takerFee ?? "0"),
    );
  }, Big(0));
  const net = Big(gain).minus(fee).toFixed(6);
  const count = `${chosen.length} ${chosen.length === 1 ? "position" : "positions"}`;
  const isOff = isPending || isStale || chosen.length === 0;
  const close = async () => {
    const verdict = await closeAll(isHere && hasChoice ? ticker : undefined);
    if (verdict.phase !== "done") return;
    const { results, remaining } = verdict.answer;
    const taken = results.filter((one) => one.error === undefined);
    const closed = taken.filter((one) => one.closed !== undefined);
    const [waiting, left] = [taken.length - closed.length, results.length - taken.length + remaining];
    const brought = sum("0", ...closed.map((one) => one.closed!.pnl));
    const text = `${say.money(brought, { isSigned: true })} before fees.`;
    if (waiting > 0) tell({ kind: "done", title: `${waiting} will be closed`, text: "Waiting for the next price." });
    if (closed.length > 0) tell({ kind: "done", title: `${closed.length} closed`, text });
    if (left > 0) tell({ kind: "note", stays: true, title: `${left} not closed`, text: whyNot(results) });
    onClose();
  };
  return (
    <Sheet label="Close all positions" onClose={onClose}>
      <SheetHead title="Close all" onClose={onClose} />
      {hasChoice && (
        <div className="seg" role="group" aria-label="Where">
          {[false, true].map((one) => (
            <button
              key={String(one)}
              type="button"
              aria-pressed={isHere === one}
              disabled={isPending}
              onClick={() => setHere(one)}
            >
              {one ? `${say.base(ticker)} only` : "All markets"}
            </button>
          ))}
        </div>
      )}
      <dl className="preview">
        <div>
          <dt>{Number(gain) < 0 ? "Loss" : "Gain"}, about</dt>
          <dd>
            <Gain value={gain} />
          </dd>
        </div>
        <div>
          <dt>Fees, about</dt>
          <dd>{say.money(fee.toFixed(6))}</dd>
        </div>
        <div>
          <dt>Margin back</dt>
          <dd>{say.money(sum("0", ...chosen.map((one) => one.margin)))}</dd>
        </div>
      </dl>
      <p className="under">
        Each position is closed for itself, at the market. One may be refused and the others not. Orders that wait stay.
      </p>
      {progress.phase === "refused" && (
        <p className="note bad" role="alert">
          <Icon name="note" />
          <span>{plainly(progress.refusal)}</span>
        </p>
      )}
      <button
        className="btn big primary"
        data-testid="close-all-submit"
        aria-disabled={isOff}
        onClick={() => void (isOff || close())}
      >
        {progress.phase === "sending"
          ? "Sending…"
          : progress.phase === "retrying"
            ? "No answer yet, trying again"
            : isStale
              ? "Waiting for the venue"
              : `Close ${count}, about ${say.money(net, { isSigned: true })} after fees`}
      </button>
    </Sheet>
  );
}

function whyNot(results: AllClosed["results"]): string {
  const refused = results.find((one) => one.error !== undefined);
  return refused?.error ? `${say.base(refused.positionId)}: ${refused.error.message}` : "Close all once more.";
}
