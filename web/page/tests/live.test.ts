import { describe, expect, it } from "vitest";
import { WIDTH_MS, continued } from "../src/live/candles";
import { decimal, fundingAt, pnlNow, roomOf, sum } from "../src/live/money";
import { offsetOf, rowReader } from "../src/live/rows";
import { NOTHING, TICKS_MAX, taken } from "../src/live/state";
import { ALICE, BALANCE, MARKET, POSITION, price, row, trade, wire } from "./fake";

const begun = taken(NOTHING, row(5, ["snapshot", { markets: [MARKET], user: ALICE, offset: 5 }]));
const market = (state: typeof begun) => state.markets.get("BTC-PERP")!;

describe("rows", () => {
  it("says a row when its id has come, however the text is cut", () => {
    const rows: string[] = [];
    const feed = rowReader((one) => rows.push(`${one.id}:${one.events.map((event) => event.name).join("+")}`));
    const text = wire(6, ["trade", {}], ["position", {}], ["balance", {}]) + ": ping\n\n" + wire(7, ["price", {}]);
    for (const letter of text) feed(letter);
    expect(rows).toEqual(["1-6:trade+position+balance", "1-7:price"]);
  });

  it("says nothing of a row whose end has not come", () => {
    const rows: unknown[] = [];
    rowReader((one) => rows.push(one))("event: trade\ndata: {}\n\nevent: balance\ndata: {}\nid: 1-6\n");
    expect(rows).toEqual([]);
  });

  it("knows the place that an id names", () => expect(offsetOf("3-48213")).toBe(48_213));
});

describe("state", () => {
  it("begins with a snapshot", () => {
    expect(begun.offset).toBe(5);
    expect(market(begun).currentPrice).toBe("10000.00");
    expect([...begun.user!.positions.keys()]).toEqual(["BTC-PERP-1"]);
  });

  it("takes a price, and what follows from it for the day", () => {
    const state = taken(begun, row(6, ["price", price("10200.00", 6)]));
    expect(market(state)).toMatchObject({ currentPrice: "10200.00", markPrice: "10200.00", high24h: "10200.00" });
    expect(market(state).change24h).toBe("600");
    expect(market(state).changePercent24h).toBe("6.25");
    expect(state.told.get("BTC-PERP")!.ticks).toHaveLength(1);
  });

  it("counts an own trade once, although it comes twice", () => {
    const own = { ...trade("open", 6), userId: "alice", positionId: "BTC-PERP-2" };
    const state = taken(begun, row(6, ["trade", trade("open", 6)], ["trade", own]));
    expect(market(state).openInterest).toEqual({ long: "1.25", short: "0.50" });
    expect(market(state).skew).toBe("0.75");
    expect(market(state).volume24h).toBe("3502.5");
    expect(state.told.get("BTC-PERP")!.trades).toHaveLength(1);
    expect(state.user!.fills).toHaveLength(1);
  });

  it.each([
    ["open", "long", "1.25", "0.50"],
    ["close", "long", "0.75", "0.50"],
    ["liquidation", "long", "0.75", "0.50"],
    ["open", "short", "1.00", "0.75"],
    ["close", "short", "1.00", "0.25"],
  ] as const)("counts the %s of a %s", (kind, side, long, short) => {
    const state = taken(begun, row(6, ["trade", trade(kind, 6, { side })]));
    const { openInterest } = market(state);
    expect([Number(openInterest.long), Number(openInterest.short)]).toEqual([Number(long), Number(short)]);
  });

  it("takes no row twice", () => {
    const once = taken(begun, row(6, ["trade", trade("open", 6)]));
    expect(taken(once, row(6, ["trade", trade("open", 6)]))).toBe(once);
  });

  it("keeps what is left of a position and forgets a closed one", () => {
    const half = { ...POSITION, quantity: "0.05", offset: 6 };
    const state = taken(begun, row(6, ["position", half], ["balance", { ...BALANCE, balance: "950.00" }]));
    expect(state.user!.positions.get("BTC-PERP-1")!.quantity).toBe("0.05");
    expect(state.user!.balance.balance).toBe("950.00");
    const none = taken(state, row(7, ["position", { ...half, status: "liquidated" }]));
    expect(none.user!.positions.size).toBe(0);
    expect(none.user!.openPositions).toBe(0);
  });

  it("shows a headline with what it moved", () => {
    const state = taken(begun, row(6, ["price", price("10100.00", 6, { source: "event", reason: "A launch" })]));
    expect(state.told.get("BTC-PERP")!.stories[0]).toMatchObject({ text: "A launch", offset: 6 });
    expect(state.told.get("BTC-PERP")!.stories[0]!.change).toBeCloseTo(0.01);
  });

  it("says when a market was listed that only a snapshot describes", () => {
    const state = taken(begun, row(6, ["market", { ticker: "NEW-PERP", status: "enabled", reason: "", name: "New" }]));
    expect(state.isBehind).toBe(true);
    expect(market(taken(begun, row(6, ["market", { ticker: "BTC-PERP", status: "halted", reason: "" }]))).status).toBe(
      "halted",
    );
  });

  it("begins anew after a reset", () => {
    const moved = taken(begun, row(6, ["price", price("10200.00", 6)]));
    const again = taken(moved, row(3, ["reset", {}], ["snapshot", { markets: [MARKET], offset: 3 }]));
    expect([again.offset, again.resets, again.user]).toEqual([3, 2, null]);
    expect(again.told.get("BTC-PERP")!.ticks).toEqual([]);
  });

  it("keeps a bounded number of ticks and says from where they are whole", () => {
    let state = begun;
    for (let offset = 6; offset < 6 + TICKS_MAX + 10; offset++)
      state = taken(state, row(offset, ["price", price("10001.00", offset)]));
    const told = state.told.get("BTC-PERP")!;
    expect(told.ticks).toHaveLength(TICKS_MAX);
    expect(told.from).toBe(15);
    expect(told.ticks[0]!.offset).toBe(16);
  });
});

describe("candles", () => {
  const candle = { at: 0, open: 10, high: 12, low: 9, close: 11, volume: 5 };
  const page = { candles: [candle], offset: 5 };
  const tick = (offset: number, at: number, quote: number, volume = 0) => ({ offset, at, quote, volume });

  it("goes on with the candle that is open, and with no tick that is in it already", () => {
    const next = continued(page, [tick(5, 1_000, 99), tick(6, 2_000, 13, 7)], WIDTH_MS["1m"]);
    expect(next).toEqual({ candles: [{ ...candle, high: 13, close: 13, volume: 12 }], offset: 6 });
    expect(continued(next, [tick(6, 2_000, 13, 7)], WIDTH_MS["1m"])).toBe(next);
  });

  it("begins the next candle, and fills the minutes in which nothing happened", () => {
    const { candles } = continued(page, [tick(6, 180_500, 8, 1)], WIDTH_MS["1m"]);
    expect(candles.map(({ at, close, volume }) => [at, close, volume])).toEqual([
      [0, 11, 5],
      [60_000, 11, 0],
      [120_000, 11, 0],
      [180_000, 8, 1],
    ]);
  });
});

describe("money", () => {
  it.each([
    ["long", "10500.00", "50"],
    ["long", "9500.00", "-50"],
    ["short", "10500.00", "-50"],
    ["short", "9500.00", "50"],
    ["long", "10000.00", "0"],
  ] as const)("a %s at %s has gained %s", (side, mark, gain) => {
    expect(Number(pnlNow({ ...POSITION, side }, mark))).toBe(Number(gain));
  });

  it("counts what the venue told, funding with it", () => {
    expect(pnlNow({ ...POSITION, unrealizedPnL: "-3.25", markPrice: "10100.00" }, "10200.00")).toBe("6.75");
  });

  it("adds without losing a micro", () => {
    expect(sum("0.1", "0.2", "9007199254740993.000001")).toBe("9007199254740993.300001");
  });

  it("knows the room that is left", () => {
    expect(roomOf(POSITION, "10000.00")!.away).toBeCloseTo(0.095477, 9);
    expect(roomOf(POSITION, "10000.00")!.at).toBe(0.5);
    expect(roomOf(POSITION, "9045.23")!.at).toBe(0);
    expect(roomOf(POSITION, "20000.00")!.at).toBe(1);
    expect(roomOf({ ...POSITION, side: "short", liquidationPrice: "10944.00" }, "10472.00")!.at).toBe(0.25);
    expect(roomOf({ ...POSITION, liquidationPrice: null }, "10000.00")).toBeNull();
  });

  it("takes what people type, and nothing else", () => {
    expect(["1,000", "1 000.5", " 7 ", "0.0001"].map((text) => decimal(text, false))).toEqual([
      "1000",
      "1000.5",
      "7",
      "0.0001",
    ]);
    expect(["1.000", "1.000,5", "1,5", "12.5", "1 000"].map((text) => decimal(text, true))).toEqual([
      ...["1000", "1000.5", "1.5", "12.5", "1000"],
    ]);
    expect(["", "-1", "1e3", "a", "1.2.3", "٣"].map((text) => decimal(text, false))).toEqual([
      null,
      null,
      null,
      null,
      null,
      null,
    ]);
  });

  it("lets the funding rate go on along its line, up to its limit", () => {
    expect(fundingAt(MARKET, 1)).toBeCloseTo(0.00012);
    expect(fundingAt(MARKET, 1_000)).toBeCloseTo(0.0065 / 24);
  });
});
