import type { Market, Side } from "../../api/venue";
import { type Decimal, decimal, isTooLate } from "../../live/money";
import * as say from "../../words/numbers";
import type { Words } from "../../words/refusals";
import { NumberField } from "../frame/field";
import { Icon, tone } from "../frame/parts";

/** Take-profit and stop-loss as they are typed; empty: none. */
export type Typed = { readonly takeProfit: string; readonly stopLoss: string };
export const NO_EXITS: Typed = { takeProfit: "", stopLoss: "" };
export type Exits = { readonly takeProfit?: Decimal; readonly stopLoss?: Decimal };

/** What is typed as the venue takes it; null: one of the two is no price. */
export function exitsOf({ takeProfit, stopLoss }: Typed): Exits | null {
  const [profit, stop] = [takeProfit, stopLoss].map((text) => (text.trim() === "" ? undefined : decimal(text)));
  if (profit === null || stop === null) return null;
  return { ...(profit !== undefined && { takeProfit: profit }), ...(stop !== undefined && { stopLoss: stop }) };
}

const NAMES = [
  ["takeProfit", "Profit", "exit-profit"],
  ["stopLoss", "Stop", "exit-stop"],
] as const;

type Props = {
  readonly id: string;
  readonly typed: Typed;
  readonly onType: (typed: Typed) => void;
  readonly market: Market;
  readonly isLocked: boolean;
  readonly words: Words | null;
  /** What leaving at a price would bring in all, USD; null: not known yet. */
  readonly gainAt: (price: Decimal) => Decimal | null;
  readonly title?: string;
};

/** Where the position is to leave by itself, with what that would bring. */
export function ExitFields({
  id,
  typed,
  onType,
  market,
  isLocked,
  words,
  gainAt,
  title = "Close by itself at",
}: Props) {
  return (
    <div>
      <p className="under above">{title}</p>
      <div className="pair">
        {NAMES.map(([name, title, testid]) => {
          const price = decimal(typed[name]);
          const gain = price === null ? null : gainAt(price);
          const isBad = words?.field === name || (price === null && typed[name].trim() !== "");
          return (
            <div key={name}>
              <NumberField
                id={`${id}-${name}`}
                testid={testid}
                label={title}
                value={typed[name]}
                note={`${id}-${name}-note`}
                {...{ isBad, isLocked }}
                onType={(text) => onType({ ...typed, [name]: text })}
                onLeave={() => price !== null && onType({ ...typed, [name]: say.price(price, market.tickSize) })}
              />
              <p className="under num" id={`${id}-${name}-note`}>
                {gain === null ? (
                  <span>{typed[name].trim() === "" ? "none" : price === null ? "no price" : "\u00a0"}</span>
                ) : (
                  <span className={tone(gain)}>about {say.money(gain, { isSigned: true })}</span>
                )}
              </p>
            </div>
          );
        })}
      </div>
    </div>
  );
}

/** A stop that comes too late to help. */
export function TooLate(props: { side: Side; stop: Decimal | undefined; liquidation: Decimal | null; market: Market }) {
  const { side, stop, liquidation, market } = props;
  if (stop === undefined || liquidation === null || !isTooLate(side, stop, liquidation)) return null;
  return (
    <p className="note caution" role="status" data-testid="stop-too-late">
      <Icon name="note" />
      <span>
        Liquidated at {say.price(liquidation, market.tickSize)}, before this stop. A stop nearer to the price keeps the
        rest of the margin.
      </span>
    </p>
  );
}

type BadProps = { words: Words; onUse?: (use: NonNullable<Words["use"]>) => void; id?: string };

/** Why a command was refused. `id`: what the field names that it describes. */
export function Bad({ words, onUse, id }: BadProps) {
  const { use } = words;
  const offered = use?.size ?? use?.amount ?? use?.leverage;
  return (
    <p className="note bad" role="alert" id={id} data-testid="ticket-refusal">
      <Icon name="note" />
      <span>
        {words.text}
        {use && onUse && Number(offered) > 0 && (
          <>
            <br />
            <button type="button" className="link" onClick={() => onUse(use)}>
              Use {use.leverage !== undefined ? `${use.leverage}×` : say.plain(offered ?? 0)}
            </button>
          </>
        )}
      </span>
    </p>
  );
}
