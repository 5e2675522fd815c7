import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  VenueProvider,
  tabAt,
  useCancel,
  useCancelAll,
  useCloseAll,
  useEndedOrders,
  useOrders,
  usePlace,
  useReplace,
  useWalletBalance,
} from "../src/hooks";
import { byMarket } from "../src/hooks/useByMarket";
import { liquidationAbout, reserveOf } from "../src/live/money";
import {
  endOf,
  isForNextPrice,
  isReached,
  ofOrder,
  ofOwnExits,
  offsetsOf,
  purpose,
  typeName,
} from "../src/words/orders";
import { Refused } from "../src/api/venue";
import { ALICE, BALANCE, FakeVenue, MARKET, ORDER, POSITION, refusal, wire } from "./fake";

const OTHER = { ...ORDER, id: "BTC-PERP-o2", side: "short", price: "10500.00", placedAt: "2026-01-01T00:00:20.000Z" } as const; // prettier-ignore
const ENDED = { closedAt: "2026-01-01T00:01:00.000Z" } as const;
const ASKED = { ticker: "BTC-PERP", type: "limit", side: "long", size: "1000", leverage: 10, price: "9800" } as const;
const PLACED = { order: ORDER, newBalance: "798.00", clientOrderId: "x", offset: 6 };

let venue: FakeVenue;
let tab: ReturnType<typeof tabAt>;

beforeEach(() => {
  vi.useFakeTimers();
  sessionStorage.setItem("perps.session", JSON.stringify({ key: "perps_alice", userId: "alice" }));
  venue = new FakeVenue();
  tab = tabAt("http://venue/", sessionStorage, { fetch: venue.fetch, now: Date.now });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const clock = setTimeout;
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const say = async (text: string) => {
  venue.streams.at(-1)!.write(text);
  await pass(200);
};

async function until(holds: () => void): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return holds();
    } catch (error) {
      if (tries > 100) throw error;
      await new Promise((resolve) => clock(resolve, 2));
      await pass(20);
    }
  }
}

async function shown<T>(hook: () => T, user: object = ALICE) {
  const wrapper = ({ children }: { children: ReactNode }) => <VenueProvider tab={tab}>{children}</VenueProvider>;
  const { result } = renderHook(hook, { wrapper });
  await pass(10);
  await say(wire(5, ["snapshot", { markets: [MARKET], user, offset: 5 }]));
  return result;
}

describe("useOrders", () => {
  it("begins with those that wait, and takes each that is placed, replaced, filled or cancelled", async () => {
    const user = { ...ALICE, orders: [ORDER] };
    const result = await shown(() => ({ orders: useOrders(), ended: useEndedOrders() }), user);
    expect(result.current.orders).toEqual([ORDER]);
    await say(wire(6, ["order", OTHER]));
    expect(result.current.orders!.map(({ id }) => id)).toEqual(["BTC-PERP-o2", "BTC-PERP-o1"]);
    await say(wire(7, ["order", { ...ORDER, price: "9700.00" }]));
    expect(result.current.orders!.find(({ id }) => id === ORDER.id)!.price).toBe("9700.00");
    await say(wire(8, ["order", { ...ORDER, ...ENDED, status: "filled", positionId: "BTC-PERP-2" }]));
    await say(wire(9, ["order", { ...OTHER, ...ENDED, status: "cancelled", reason: "owner" }]));
    expect(result.current.orders).toEqual([]);
    expect(result.current.ended.map(({ status }) => status)).toEqual(["cancelled", "filled"]);
  });

  it("says nothing of an order that filled in the row that placed it: it has never waited", async () => {
    const result = await shown(() => ({ orders: useOrders(), ended: useEndedOrders() }));
    await say(wire(6, ["order", { ...ORDER, ...ENDED, status: "filled" }]));
    expect(result.current).toEqual({ orders: [], ended: [] });
  });

  it("counts what orders keep into the equity: it is still the user's", async () => {
    const result = await shown(() => useWalletBalance());
    await say(wire(6, ["balance", { ...BALANCE, balance: "798.00", available: "798.00", held: "101.00" }]));
    expect(result.current).toMatchObject({ available: "798.00", equity: "999" });
  });
});

describe("usePlace, useReplace", () => {
  it("send the same again, with the same id, until there is a verdict", async () => {
    venue.on("POST /api/orders", "throw", PLACED);
    const result = await shown(() => usePlace());
    act(() => void result.current.place(ASKED));
    await pass(2_000);
    await until(() => expect(result.current.progress).toMatchObject({ phase: "done", answer: PLACED }));
    const bodies = venue.of("POST /api/orders").map((request) => JSON.stringify(request.body));
    expect(bodies).toHaveLength(2);
    expect(new Set(bodies).size).toBe(1);
    expect(JSON.parse(bodies[0]!)).toEqual({ ...ASKED, clientOrderId: expect.stringMatching(/^page-/) });
  });

  it("send only the terms that are to change, and say why they were refused", async () => {
    const path = "PATCH /api/orders/BTC-PERP-o1";
    venue.on(path, refusal("order_closed", 409));
    const result = await shown(() => useReplace());
    act(() => void result.current.replace("BTC-PERP-o1", { price: "9700" }));
    await until(() => expect(result.current.progress.phase).toBe("refused"));
    expect(venue.of(path)[0]!.body).toEqual({ price: "9700", clientOrderId: expect.stringMatching(/^page-/) });
  });
});

describe("useCancel", () => {
  const DELETE = "DELETE /api/orders/BTC-PERP-o1";
  const GET = "GET /api/orders/BTC-PERP-o1";
  const cancelled = { ...ORDER, ...ENDED, status: "cancelled", reason: "owner" };

  it("is done when its answer was lost and the order is cancelled", async () => {
    venue.on(DELETE, "throw", refusal("order_closed", 409)).on(GET, { order: cancelled, offset: 6 });
    const result = await shown(() => useCancel());
    act(() => void result.current.cancel("BTC-PERP-o1"));
    await pass(2_000);
    await until(() => expect(result.current.progress).toMatchObject({ phase: "done", answer: cancelled }));
  });

  it("is refused when the order has filled", async () => {
    venue
      .on(DELETE, refusal("order_closed", 409))
      .on(GET, { order: { ...ORDER, ...ENDED, status: "filled" }, offset: 6 });
    const result = await shown(() => useCancel());
    act(() => void result.current.cancel("BTC-PERP-o1"));
    await until(() => expect(result.current.progress.phase).toBe("refused"));
  });

  it("cancels all at once, in one market", async () => {
    venue.on("DELETE /api/orders", { orders: [cancelled], offset: 6 });
    const result = await shown(() => useCancelAll());
    act(() => void result.current.cancelAll("BTC-PERP"));
    await until(() => expect(result.current.progress).toMatchObject({ phase: "done", answer: [cancelled] }));
  });
});

describe("useCloseAll", () => {
  const PATH = "POST /api/positions/close-all";
  const closed = { positionId: "BTC-PERP-1", closed: { position: POSITION } };
  const error = { positionId: "OLD-PERP-4", error: { code: "price_stale", message: "Old.", details: {} } };

  it("asks again while more are left, and tells what came of each", async () => {
    venue.on(
      PATH,
      { results: [closed], remaining: 1, offset: 6 },
      { results: [closed, error], remaining: 0, offset: 7 },
    );
    const result = await shown(() => useCloseAll());
    act(() => void result.current.closeAll());
    await until(() => expect(result.current.progress.phase).toBe("done"));
    expect(result.current.progress).toMatchObject({ answer: { results: [closed, closed, error], remaining: 0 } });
  });

  it("gives up where nothing can be closed", async () => {
    venue.on(PATH, { results: [error], remaining: 3, offset: 6 });
    const result = await shown(() => useCloseAll());
    act(() => void result.current.closeAll("OLD-PERP"));
    await until(() => expect(result.current.progress).toMatchObject({ phase: "done", answer: { remaining: 3 } }));
    expect(venue.of(PATH).map(({ body }) => body)).toEqual([{ ticker: "OLD-PERP" }]);
  });
});

describe("what an order that waits needs", () => {
  it("is margin and fee of its whole size, as the venue sets it aside", () => {
    expect(Number(reserveOf("1000", 10, "0.001"))).toBe(101);
  });

  it("leads to a liquidation price like the venue's", () => {
    expect(liquidationAbout(MARKET, "long", "10000", 10)).toBe("9045.23");
    expect(liquidationAbout(MARKET, "short", "10000", 10)).toBe("10945.27");
    expect(liquidationAbout(MARKET, "long", "10000", 1)).toBeNull();
  });
});

describe("words of orders", () => {
  const limit = { type: "limit", side: "long" } as const;
  const stop = { type: "stop", side: "long" } as const;
  const refused = (code: "order_would_trigger" | "too_many_open_orders", details = {}) =>
    new Refused(code, "Said.", details, "id", null);

  it("say what an order waits for, and that one fills at once", () => {
    expect(purpose({ ...limit, price: "9800" }, MARKET)).toBe(
      "This opens a long at 9,800.00 or lower, 2.0 % from now. Until then it waits.",
    );
    expect(purpose({ ...limit, price: "10100" }, MARKET)).toMatch(/^The price is better already/);
    expect(purpose({ ...stop, price: "10100" }, MARKET)).toMatch(/^When the mark price rises to 10,100.00/);
  });

  it("mark the price of a stop that is on the wrong side", () => {
    expect(isReached({ ...stop, price: "9900" }, MARKET)).toBe(true);
    expect(isReached({ ...stop, side: "short", price: "9900" }, MARKET)).toBe(false);
    const words = ofOrder(refused("order_would_trigger", { price: "9900", markPrice: "10000" }), MARKET, {
      ...stop,
      leverage: 10,
    });
    expect(words).toMatchObject({ field: "price", button: "The price must be above 10,000.00" });
    const own = refused("order_would_trigger", { stopLoss: "9900", markPrice: "9800" });
    expect(ofOrder(own, MARKET, { ...limit, leverage: 10 }).field).toBe("stopLoss");
  });

  it("say how an order ended, and nothing of one that its owner cancelled", () => {
    const ended = (more: object) => endOf({ ...ORDER, ...ENDED, ...more }, MARKET);
    expect(ended({ status: "filled", averagePrice: "9799.5" })).toMatchObject({
      title: "BTC limit filled",
      isGood: true,
    });
    expect(ended({ status: "expired" })!.text).toBe("It did not fill. 101.00 are back in your wallet.");
    expect(ended({ status: "cancelled", reason: "max_skew_exceeded" })!.text).toMatch(
      /^The market had no room for it\./,
    );
    expect(ended({ status: "cancelled", reason: "owner" })).toBeNull();
    expect(ended({ status: "filled", type: "market" })).toBeNull();
  });

  it("name an order of a market that trades at the next price, which cannot be taken back", () => {
    expect([ORDER, { type: "market" }, { type: "withdrawal" }].map(isForNextPrice)).toEqual([false, true, true]);
    expect(typeName({ type: "market", reduceOnly: true })).toBe("Close");
    expect(typeName({ type: "market", reduceOnly: false })).toBe("Market");
  });

  it("say of an order whose own exit would close it at once which one", () => {
    const order = { ...limit, price: "9800" };
    expect(ofOwnExits(order, { stopLoss: "9800" }, MARKET)).toMatchObject({ field: "stopLoss" });
    expect(ofOwnExits(order, { takeProfit: "9700" }, MARKET)).toMatchObject({ field: "takeProfit" });
    expect(ofOwnExits({ ...order, side: "short" }, { stopLoss: "9900", takeProfit: "9700" }, MARKET)).toBeNull();
  });

  it("offer prices on the side where the order waits", () => {
    expect(offsetsOf(limit).map(({ name }) => name)).toEqual(["Now", "−1 %", "−2 %", "−5 %"]);
    expect(offsetsOf(stop).map(({ name }) => name)).toEqual(["+1 %", "+2 %", "+5 %", "+10 %"]);
  });
});

describe("byMarket", () => {
  it("adds up what each market has brought, the best first", () => {
    const trade = (ticker: string, realizedPnL: string) => ({ ticker, realizedPnL, fee: { amount: "1.00" }, funding: "0.50", size: "1000.00" }); // prettier-ignore
    const rows = byMarket(
      [trade("A", "-5.00"), trade("B", "10.00"), trade("B", "0.00")] as never,
      [{ ticker: "B", pnl: "2.50" }] as never,
    );
    expect(rows.map(({ ticker, all, realised, volume, trades }) => [ticker, all, realised, volume, trades])).toEqual([
      ["B", "10.5", "10", "2000", 2],
      ["A", "-6", "-5", "1000", 1],
    ]);
  });
});
