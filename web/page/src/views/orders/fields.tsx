/** The fields of an order that waits: its price, how long it waits, and the worst price that a stop takes. */
import Big from "big.js";
import type { Market } from "../../api/venue";
import { type Decimal, decimal, onTick } from "../../live/money";
import * as say from "../../words/numbers";
import { EXPIRIES, type Waits, isReached, offsetsOf, purpose } from "../../words/orders";
import type { Words } from "../../words/refusals";
import { NumberField } from "../frame/field";
import { Bad } from "../ticket/exits";

/** The price that an order of this kind begins with: one per cent away, so that it waits. */
export function firstPrice(market: Market, order: Waits): Decimal {
  return priceBy(market, order, (order.type === "limit" ? offsetsOf(order)[1] : offsetsOf(order)[0])!.by);
}

function priceBy(market: Market, { type }: Waits, by: number): Decimal {
  return onTick(Number(type === "limit" ? market.currentPrice : market.markPrice) * (1 + by), market.tickSize);
}

const PRICES: Readonly<Record<string, string>> = { limit: "Price", take_profit: "Profit at" };

type PriceProps = {
  readonly id: string;
  readonly market: Market;
  readonly order: Waits & { readonly percentage?: Decimal | null };
  readonly text: string;
  readonly onType: (text: string) => void;
  readonly isLocked: boolean;
  readonly words: Words | null;
};

/** The price that the order waits for, and in a sentence what happens then. */
export function PriceField({ id, market, order, text, onType, isLocked, words }: PriceProps) {
  const price = decimal(text);
  const isBad = words?.field === "price" || price === null;
  const put = (value: Decimal) => onType(say.price(value, market.tickSize));
  return (
    <div>
      <NumberField
        {...{ id, isBad, isLocked, onType }}
        label={PRICES[order.type] ?? "Stop at"}
        value={text}
        note={`${id}-note`}
        onLeave={() => price !== null && put(price)}
      >
        <span className="unit">USD</span>
      </NumberField>
      <div className="chips" role="group" aria-label="Price from now">
        {offsetsOf(order).map(({ by, name }) => (
          <button key={name} type="button" disabled={isLocked} onClick={() => put(priceBy(market, order, by))}>
            {name}
          </button>
        ))}
      </div>
      {words?.field === "price" ? (
        <Bad words={words} id={`${id}-note`} />
      ) : (
        <p className="under" id={`${id}-note`}>
          {price === null || Number(price) === 0 ? "Type a price" : purpose({ ...order, price }, market)}
        </p>
      )}
    </div>
  );
}

/** What a stop that is placed now would be refused for. */
export const wouldBeReached = (order: Waits, price: Decimal | null, market: Market): boolean =>
  price !== null && Number(price) > 0 && isReached({ ...order, price }, market);

type ChoiceProps = {
  readonly id: string;
  readonly value: string;
  readonly onPick: (value: string) => void;
  readonly isLocked: boolean;
};

/** `kept`: when the order ends as it is, which stays unless another time is picked. */
export function Expiry({ id, value, onPick, isLocked, kept }: ChoiceProps & { readonly kept?: string | null }) {
  return (
    <div>
      <dt>
        <label htmlFor={id}>Waits until</label>
      </dt>
      <dd>
        <select
          id={id}
          data-testid={id}
          className="link"
          value={value}
          disabled={isLocked}
          onChange={(event) => onPick(event.target.value)}
        >
          {kept !== undefined && (
            <option value="keep">{kept === null ? "you cancel it" : `${say.day(kept)} ${say.time(kept)}`}</option>
          )}
          {EXPIRIES.filter(([hours]) => kept === undefined || hours !== null).map(([hours, words]) => (
            <option key={words} value={hours ?? ""}>
              {words}
            </option>
          ))}
        </select>
      </dd>
    </div>
  );
}

/** The time that a choice of `Expiry` means. */
export const expiresAt = (hours: string): string | null =>
  hours === "" ? null : new Date(Date.now() + Number(hours) * 3_600_000).toISOString();

const WORST = ["", "50", "100", "300"] as const;

/** `kept`: the worst price as it is, which stays unless another is picked. */
type WorstProps = ChoiceProps & { readonly kept?: string; readonly what?: "order" | "part" };

export function WorstPrice({ id, value, onPick, isLocked, kept, what = "order" }: WorstProps) {
  return (
    <div>
      <dt>
        <label htmlFor={id}>
          <abbr
            className="term"
            title={
              what === "part"
                ? "A part that would cost more is skipped: the later ones take it."
                : "If the price has jumped further than this, the order ends and nothing is spent."
            }
          >
            Worst price
          </abbr>
        </label>
      </dt>
      <dd>
        <select
          id={id}
          className="link"
          value={value}
          disabled={isLocked}
          onChange={(event) => onPick(event.target.value)}
        >
          {kept !== undefined && <option value="keep">{kept}</option>}
          {WORST.map((bps) => (
            <option key={bps} value={bps}>
              {bps === "" ? "any price" : `${Number(bps) / 100} % worse`}
            </option>
          ))}
        </select>
      </dd>
    </div>
  );
}

/** The worst price that a stop takes, so much worse than the price that sets it off. To leave a long is to sell. */
export function worstOf(price: Decimal, { side, reduceOnly }: Waits, bps: string): Decimal {
  const by = Big(bps)
    .div(10_000)
    .times((side === "long") === !reduceOnly ? 1 : -1);
  return Big(price).times(by.plus(1)).round(12).toFixed();
}
