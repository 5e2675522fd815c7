/** The forms of an operator: one for each command, all drawn the same. */
import { useState } from "react";
import type { ChangesBody, Market, MarketBody } from "../../api/venue";
import { useMarket } from "../../hooks";
import { useOperate } from "../../hooks/useOperator";
import { decimal } from "../../live/money";
import * as say from "../../words/numbers";
import { Amount, type Close, Field, Form, isBad, useAmount, useEnd } from "./form";
import { Icon } from "../frame/parts";

export type Act =
  | { readonly name: "list" }
  | { readonly name: "user" }
  | { readonly name: "change" | "fund" | "settle"; readonly ticker: string }
  | { readonly name: "pay" | "key"; readonly userId: string };

export function Acts({ act, onClose }: { act: Act } & Close) {
  if ("ticker" in act) return <OfMarket act={act} onClose={onClose} />;
  if (act.name === "pay") return <Pay userId={act.userId} onClose={onClose} />;
  if (act.name === "key") return <MakeKey userId={act.userId} onClose={onClose} />;
  return act.name === "list" ? <ListMarket onClose={onClose} /> : <AddUser onClose={onClose} />;
}

function OfMarket({ act, onClose }: { act: Act & { readonly ticker: string } } & Close) {
  const market = useMarket(act.ticker);
  if (act.name === "fund") return <Fund ticker={act.ticker} onClose={onClose} />;
  if (market === null) return null;
  return act.name === "change" ? (
    <Change market={market} onClose={onClose} />
  ) : (
    <Settle market={market} onClose={onClose} />
  );
}

function ListMarket({ onClose }: Close) {
  const order = useOperate("list");
  const end = useEnd(onClose);
  const [typed, type] = useState({ ticker: "", name: "", price: "", maxLeverage: "20", houseDeposit: "" });
  const set = (name: keyof typeof typed) => (text: string) => (order.reset(), type({ ...typed, [name]: text }));
  const ticker = typed.ticker.trim().toUpperCase();
  const full = ticker.endsWith("-PERP") || ticker === "" ? ticker : `${ticker}-PERP`;
  const [price, house, most] = [decimal(typed.price), decimal(typed.houseDeposit || "0"), Number(typed.maxLeverage)];
  const isReady = full !== "" && typed.name.trim() !== "" && price !== null && house !== null && most >= 1;
  const send = async () => {
    const market: MarketBody = {
      ticker: full,
      organizationId: full.replace(/-PERP$/, "").toLowerCase(),
      name: typed.name.trim(),
      price: price ?? "",
      maxLeverage: most,
      houseDeposit: house ?? "0",
      priceBand: "0.1",
    };
    end(await order.run(market), () => ({ title: `${full} is listed`, text: "Everybody sees it at once." }));
  };
  return (
    <Form
      {...order}
      title="List a market"
      button={isReady ? `List ${full}` : "Fill in the fields"}
      isReady={isReady}
      send={send}
      onClose={onClose}
      note="All else is as the venue has it by default, with a price band of 10 %. Change shows and changes it afterwards."
    >
      <Field
        id="ticker"
        label="Ticker"
        value={typed.ticker}
        onType={set("ticker")}
        isText
        isBad={isBad(order.refusal, "ticker")}
      />
      <Field
        id="name"
        label="Name"
        value={typed.name}
        onType={set("name")}
        isText
        isBad={isBad(order.refusal, "name")}
      />
      <Field
        id="price"
        label="First price"
        value={typed.price}
        onType={set("price")}
        unit="USD"
        isBad={isBad(order.refusal, "price")}
      />
      <Field
        id="leverage"
        label="Leverage up to"
        value={typed.maxLeverage}
        onType={set("maxLeverage")}
        unit="×"
        isBad={isBad(order.refusal, "maxLeverage")}
      />
      <Field id="house" label="House begins with" value={typed.houseDeposit} onType={set("houseDeposit")} unit="USD" />
    </Form>
  );
}

const CHANGES = [
  ["maxLeverage", "Leverage up to", "×"],
  ["takerFee", "Fee", "share"],
  ["liquidationFee", "Liquidation fee", "share"],
  ["maintenanceRate", "Maintenance", "share"],
  ["maxSkew", "Skew up to", "base units"],
  ["maxOpenInterest", "Open interest up to", "base units"],
  ["minOrderSize", "Least size", "USD"],
  ["maxFundingRate", "Funding up to", "share a day"],
] as const;

function Change({ market, onClose }: { market: Market } & Close) {
  const order = useOperate("change");
  const end = useEnd(onClose);
  const [before] = useState(() => Object.fromEntries(CHANGES.map(([name]) => [name, String(market[name])])));
  const [typed, type] = useState(before);
  const [isForced, force] = useState(false);
  const changed = CHANGES.filter(([name]) => typed[name] !== before[name]);
  const isReady = changed.length > 0 && changed.every(([name]) => decimal(typed[name] ?? "") !== null);
  const send = async () => {
    const values = changed.map(([name]) => {
      const value = decimal(typed[name] ?? "") ?? "";
      return [name, name === "maxLeverage" ? Number(value) : value];
    });
    const changes: ChangesBody = { ...Object.fromEntries(values), force: isForced };
    end(await order.run(market.ticker, changes), () => ({ title: `${market.ticker} is changed` }));
  };
  return (
    <Form
      {...order}
      title={`Change ${market.ticker}`}
      button={
        isReady
          ? `Change ${changed.map(([, title]) => title.replace(" up to", "").toLowerCase()).join(", ")}`
          : "Nothing is changed"
      }
      isReady={isReady}
      send={send}
      onClose={onClose}
    >
      {CHANGES.map(([name, title, unit]) => (
        <Field
          key={name}
          id={name}
          label={title}
          unit={unit}
          value={typed[name] ?? ""}
          onType={(text) => (order.reset(), type({ ...typed, [name]: text }))}
          isBad={isBad(order.refusal, name)}
        />
      ))}
      {order.refusal?.code === "would_be_liquidated" && (
        <label className="row">
          <span>Change it all the same, and liquidate them</span>
          <input
            type="checkbox"
            checked={isForced}
            onChange={(event) => (order.reset(), force(event.target.checked))}
          />
        </label>
      )}
    </Form>
  );
}

function Settle({ market, onClose }: { market: Market } & Close) {
  const order = useOperate("settle");
  const end = useEnd(onClose);
  const send = async () =>
    end(await order.run(market.ticker), ({ price, positions }) => ({
      title: `${market.ticker} is settled`,
      text: `${positions} positions closed at ${say.money(price)}.`,
    }));
  return (
    <Form
      {...order}
      title={`Settle ${market.ticker}`}
      button={`Close everybody out of ${say.base(market.ticker)}`}
      isReady
      send={send}
      onClose={onClose}
      note="Every position is closed at one price, near the index, without a fee. It cannot be undone."
    />
  );
}

function Fund({ ticker, onClose }: { ticker: string } & Close) {
  const order = useOperate("fund");
  const end = useEnd(onClose);
  const [account, setAccount] = useState<"house" | "insurance">("house");
  const { amount, isOut, isReady, button, parts } = useAmount(order.reset);
  const send = async () =>
    end(await order.run(ticker, account, isOut ? `-${amount}` : amount), ({ newBalance }) => ({
      title: `The ${account} of ${ticker} has ${say.money(newBalance)}`,
    }));
  return (
    <Form {...order} title={`Fund ${ticker}`} button={button} isReady={isReady} send={send} onClose={onClose}>
      <div className="field">
        <label htmlFor="op-account">Account</label>
        <select id="op-account" value={account} onChange={(event) => setAccount(event.target.value as typeof account)}>
          <option value="house">House</option>
          <option value="insurance">Insurance</option>
        </select>
        <Icon name="down" />
      </div>
      <Amount {...parts} />
    </Form>
  );
}

function Pay({ userId, onClose }: { userId: string } & Close) {
  const order = useOperate("pay");
  const end = useEnd(onClose);
  const { amount, isOut, isReady, button, parts } = useAmount(order.reset);
  const send = async () =>
    end(await order.run(userId, amount, isOut), ({ newBalance }) => ({
      title: `${userId} has ${say.money(newBalance)}`,
    }));
  return (
    <Form {...order} title={`Money of ${userId}`} button={button} isReady={isReady} send={send} onClose={onClose}>
      <Amount {...parts} />
    </Form>
  );
}

function AddUser({ onClose }: Close) {
  const order = useOperate("addUser");
  const end = useEnd(onClose);
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const deposit = text.trim() === "" ? null : decimal(text);
  const isReady = name.trim() !== "" && (text.trim() === "" || deposit !== null);
  const send = async () =>
    end(await order.run(name.trim(), deposit), ({ userId, balance }) => ({
      title: `${userId} can trade with ${say.money(balance)}`,
      text: "Make a key for them next.",
    }));
  return (
    <Form
      {...order}
      title="Add a user"
      button={isReady ? `Add ${name.trim()}` : "Type a name"}
      isReady={isReady}
      send={send}
      onClose={onClose}
    >
      <Field
        id="user"
        label="Name"
        isText
        value={name}
        onType={(to) => (order.reset(), setName(to))}
        isBad={isBad(order.refusal, "userId")}
      />
      <Field id="deposit" label="Begins with" unit="USD" value={text} onType={(to) => (order.reset(), setText(to))} />
    </Form>
  );
}

function MakeKey({ userId, onClose }: { userId: string } & Close) {
  const order = useOperate("addKey");
  const made = order.progress.phase === "done" ? order.progress.answer : null;
  const send = async () => {
    if (made === null) await order.run(userId);
    else onClose();
  };
  return (
    <Form
      {...order}
      title={`Key for ${userId}`}
      button={made ? "I have copied it" : "Make a key that trades"}
      isReady
      send={send}
      onClose={onClose}
      note={made ? "The venue shows it this once." : "It reads and trades in this user's name."}
    >
      {made && <Field id="key" label="Key" isText value={made.key} onType={() => {}} />}
    </Form>
  );
}
