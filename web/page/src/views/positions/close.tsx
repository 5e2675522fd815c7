import Big from "big.js";
import { type FormEvent, useEffect, useState } from "react";
import { type LivePosition, useClose, useMarket, useUserPositions } from "../../hooks";
import * as say from "../../words/numbers";
import { plainly } from "../../words/refusals";
import { useDesk } from "../frame/desk";
import { NumberField, PercentChips, SHARES } from "../frame/field";
import { Gain, Icon } from "../frame/parts";
import { Sheet, SheetHead } from "../frame/sheet";
import { SideTag } from "../frame/sidetag";
import { ofWaiting, wayOf } from "./waiting";

export function CloseSheet({ id, onClose }: { id: string; onClose: () => void }) {
  const position = useUserPositions()?.find((one) => one.id === id);
  const { say: tell } = useDesk();
  const [last, setLast] = useState(position);
  useEffect(() => {
    if (position !== undefined) setLast(position);
  }, [position]);
  const order = useClose();
  useEffect(() => {
    if (position === undefined && order.progress.phase === "idle") onClose();
  }, [position, order.progress.phase, onClose]);
  if (last === undefined) return null;
  const close = async (percentage: string) => {
    const verdict = await order.close(id, { percentage });
    if (verdict.phase === "waiting") return (tell(ofWaiting(verdict.order)), onClose());
    if (verdict.phase !== "done") return;
    const { fill, pnl, netSettlement, position: left } = verdict.answer;
    const name = say.base(left.ticker);
    tell({
      kind: "done",
      title: `${left.status === "open" ? "Part of" : ""} ${name} closed`.trim(),
      text: `${say.money(fill.notional)} at ${say.money(fill.price)}: ${say.money(pnl, { isSigned: true })}. You got ${say.money(netSettlement)}.`,
    });
    onClose();
  };
  return <CloseForm position={last} order={order} onClose={onClose} close={(share) => void close(share)} />;
}

type CloseProps = {
  position: LivePosition;
  order: ReturnType<typeof useClose>;
  onClose: () => void;
  close: (share: string) => void;
};

function CloseForm({ position, order, onClose, close }: CloseProps) {
  const market = useMarket(position.ticker);
  const [text, setText] = useState("100");
  const typed = /^\d{1,3}([.,]\d{0,4})?$/.test(text) ? Number(text.replace(",", ".")) : NaN;
  const isRight = typed > 0 && typed <= 100;
  const share = Big(isRight ? typed : 0).div(100);
  const notional = Big(position.quantity)
    .times(market?.currentPrice ?? position.mark)
    .times(share);
  const [gain, fee, back] = [
    share.times(position.pnl),
    notional.times(market?.takerFee ?? "0"),
    share.times(position.margin),
  ];
  const gets = back.plus(gain).minus(fee);
  const lot = market?.lotSize ?? "0.0001";
  const name = say.base(position.ticker);
  const what =
    typed === 100 ? "Close all" : typed === 50 ? "Close half" : `Close ${isRight ? say.plain(typed) : "–"} %`;
  const { progress, isPending } = order;
  const button = wayOf(progress.phase) ?? `${what}, get about ${say.money(gets.toFixed(2))}`;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isRight && !isPending) close(share.toFixed());
  };
  return (
    <Sheet label={`Close ${name}`} onClose={onClose}>
      <SheetHead title={`Close ${name}`} onClose={onClose}>
        <SideTag position={position} />
      </SheetHead>
      <form className="stack" onSubmit={submit}>
        <div>
          <NumberField
            id="share"
            testid="close-share"
            label="How much"
            value={text}
            isBad={!isRight}
            isLocked={isPending}
            note="share-note"
            onType={setText}
          >
            <span className="unit">%</span>
          </NumberField>
          <PercentChips label="Share to close" all={SHARES} now={typed} onPick={setText} isLocked={isPending} />
          <p className="under row" id="share-note">
            <span>
              {say.quantity(share.times(position.quantity).toFixed(), lot)} of {say.quantity(position.quantity, lot)}{" "}
              {name}
            </span>
          </p>
        </div>
        <dl className="preview">
          <div>
            <dt>Price now</dt>
            <dd>{say.price(market?.currentPrice ?? position.mark, market?.tickSize ?? "0.01")}</dd>
          </div>
          <div>
            <dt>{gain.lt(0) ? "Loss" : "Gain"}, about</dt>
            <dd>
              <Gain value={gain.toFixed(6)} />
            </dd>
          </div>
          <div>
            <dt>Fee, about</dt>
            <dd>{say.money(fee.toFixed(6))}</dd>
          </div>
          <div>
            <dt>Margin back</dt>
            <dd>{say.money(back.toFixed(6))}</dd>
          </div>
        </dl>
        {progress.phase === "refused" && (
          <p className="note bad" role="alert">
            <Icon name="note" />
            <span>{plainly(progress.refusal, market)}</span>
          </p>
        )}
        <button className="btn big primary" data-testid="close-submit" aria-disabled={!isRight || isPending}>
          {button}
        </button>
      </form>
    </Sheet>
  );
}
