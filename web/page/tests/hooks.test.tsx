import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  VenueProvider,
  tabAt,
  useCandles,
  useConnection,
  useMarket,
  useMarkets,
  usePerpTrade,
  usePreview,
  useTrades,
  useUserPositions,
  useWalletBalance,
} from "../src/hooks";
import { ALICE, BALANCE, FakeVenue, MARKET, POSITION, price, refusal, trade, wire } from "./fake";

const OPEN = { ticker: "BTC-PERP", side: "long", size: "1000", leverage: 10 } as const;
const QUOTE = "POST /api/markets/perps/quote";
const SENT = "POST /api/markets/perps/open";
const OPENED = { position: POSITION, newBalance: "899.00", offset: 6 };

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
const real = (ms: number) => new Promise((resolve) => clock(resolve, ms));
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const say = async (text: string) => {
  venue.streams.at(-1)!.write(text);
  await pass(200);
};

/** Let time pass until something holds: answers arrive by the machine's clock, not by the test's. */
async function until(holds: () => void): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return holds();
    } catch (error) {
      if (tries > 100) throw error;
      await real(2);
      await pass(20);
    }
  }
}

async function shown<T>(hook: () => T) {
  const wrapper = ({ children }: { children: ReactNode }) => <VenueProvider tab={tab}>{children}</VenueProvider>;
  const { result } = renderHook(hook, { wrapper });
  await pass(10);
  await say(wire(5, ["snapshot", { markets: [MARKET], user: ALICE, offset: 5 }]));
  return result;
}

describe("useMarkets, useMarket", () => {
  it("knows nothing before the first snapshot, and then each price as it comes", async () => {
    const result = await shown(() => ({ all: useMarkets(), one: useMarket("BTC-PERP"), none: useMarket("X") }));
    expect(result.current.all!.map((market) => market.ticker)).toEqual(["BTC-PERP"]);
    await say(wire(6, ["price", price("10123.45", 6)]));
    expect(result.current.one!.currentPrice).toBe("10123.45");
    expect(result.current.none).toBeNull();
  });
});

describe("useConnection", () => {
  it("is stale within two seconds after the line was cut, with the age of what is shown, until it is back", async () => {
    const result = await shown(() => useConnection());
    expect(result.current).toMatchObject({ phase: "live", isStale: false, offset: 5 });
    venue.streamStatus = 503;
    venue.streams.at(-1)!.end();
    await pass(50);
    expect(result.current).toMatchObject({ phase: "cut", isStale: false });
    await pass(1_900);
    expect(result.current.isStale).toBe(true);
    await pass(3_000);
    expect(result.current.ageS).toBeGreaterThanOrEqual(4);
    venue.streamStatus = 200;
    await pass(1_100);
    expect(result.current).toMatchObject({ phase: "live", isStale: false });
  });
});

describe("useConnection of a line that has fallen silent", () => {
  it("is stale two seconds after the last word, although nobody said that the line is cut", async () => {
    const result = await shown(() => useConnection());
    venue.streams.at(-1)!.write(": ping\n\n");
    await pass(1_500);
    expect(result.current.isStale).toBe(false);
    venue.streamStatus = 503;
    await pass(500);
    expect(result.current.isStale).toBe(true);
  });
});

describe("a tab that nobody sees", () => {
  it("lets go of its stream after a minute, and misses nothing when it is seen again", async () => {
    const result = await shown(() => useMarket("BTC-PERP"));
    const see = (state: string) => {
      vi.spyOn(document, "visibilityState", "get").mockReturnValue(state as DocumentVisibilityState);
      document.dispatchEvent(new Event("visibilitychange"));
    };
    see("hidden");
    for (let second = 0; second < 61; second++) {
      if (second < 60) venue.streams.at(-1)!.write(": ping\n\n");
      await pass(1_000);
    }
    await pass(10_000);
    expect(venue.streams).toHaveLength(1);
    see("visible");
    await pass(10);
    expect(venue.streams[1]!.headers.get("Last-Event-ID")).toBe("1-5");
    await say(wire(6, ["price", price("10123.45", 6)]));
    expect(result.current!.currentPrice).toBe("10123.45");
  });
});

describe("useUserPositions, useWalletBalance", () => {
  it("values positions and equity at each new mark price", async () => {
    const result = await shown(() => ({ positions: useUserPositions(), wallet: useWalletBalance() }));
    expect(result.current.positions![0]).toMatchObject({ pnl: "0", pnlPercent: "0.0" });
    await say(wire(6, ["price", price("10500.00", 6)]));
    expect(result.current.positions![0]).toMatchObject({ mark: "10500.00", pnl: "50", pnlPercent: "50.0" });
    expect(result.current.wallet).toMatchObject({ available: "899.00", unrealized: "50", equity: "1049" });
  });

  it("takes what a row changed together", async () => {
    const result = await shown(() => ({ positions: useUserPositions(), wallet: useWalletBalance() }));
    const [closed, balance] = [
      { ...POSITION, status: "closed" },
      { ...BALANCE, balance: "998.00", total: "998.00", margin: "0.00" },
    ];
    await say(wire(6, ["position", closed]).replace("id: 1-6\n", ""));
    expect(result.current.positions).toHaveLength(1);
    await say(wire(6, ["balance", balance]));
    expect(result.current.positions).toHaveLength(0);
    expect(result.current.wallet!.equity).toBe("998");
  });
});

describe("useTrades", () => {
  it("joins what was with what comes, each once", async () => {
    venue.on("GET /api/markets/perps/BTC-PERP/trades", {
      trades: [trade("close", 6), trade("open", 3)],
      nextCursor: null,
    });
    const result = await shown(() => useTrades("BTC-PERP"));
    await pass(10);
    await say(wire(6, ["trade", trade("close", 6)]));
    await say(wire(7, ["trade", trade("open", 7)]));
    await until(() => expect(result.current.trades.map((one) => one.id)).toEqual(["7-0", "6-0", "3-0"]));
  });
});

describe("useCandles", () => {
  it("goes on live behind the page that the venue gave", async () => {
    const at = Date.parse("2026-01-01T00:00:00.000Z");
    const candles = [[at, "10000.00", "10000.00", "10000.00", "10000.00", "5.00", 1]];
    venue.on("GET /api/markets/perps/BTC-PERP/candles", { candles, interval: "1m", closed: false, offset: 6 });
    const result = await shown(() => useCandles("BTC-PERP", "1m"));
    await pass(10);
    await say(wire(6, ["price", price("99999.00", 6)]));
    await say(wire(7, ["price", price("10100.00", 7)]));
    const first = { at, open: 10000, high: 10100, low: 10000, close: 10100, volume: 5 };
    await until(() => expect(result.current.candles).toEqual([first]));
    await say(wire(8, ["trade", trade("open", 8, { at: "2026-01-01T00:01:01.000Z" })]));
    await until(() =>
      expect(result.current.candles.at(-1)).toMatchObject({ at: at + 60_000, open: 10010, volume: 2502.5 }),
    );
  });
});

describe("usePerpTrade", () => {
  it("is pending until the venue has answered", async () => {
    let answer!: (value: unknown) => void;
    venue.on(SENT, new Promise((resolve) => (answer = resolve)));
    const result = await shown(() => usePerpTrade().opening);
    expect(result.current.isPending).toBe(false);
    act(() => void result.current.open(OPEN));
    await pass(1_000);
    expect(result.current.isPending).toBe(true);
    answer(OPENED);
    await pass(10);
    await until(() =>
      expect(result.current).toMatchObject({ isPending: false, progress: { phase: "done", answer: OPENED } }),
    );
  });

  it("waits for the next price where the venue answers with an order", async () => {
    const order = { id: "BTC-PERP-o1", type: "market", status: "open", ticker: "BTC-PERP" };
    const filled = { ...order, status: "filled" };
    venue.on(SENT, { order, newBalance: "899.00", clientOrderId: "one", offset: 6 });
    const result = await shown(() => usePerpTrade().opening);
    act(() => void result.current.open(OPEN));
    await pass(100);
    await say(wire(6, ["order", { ...order, closedAt: null }]));
    expect(result.current).toMatchObject({ isPending: true, progress: { phase: "waiting", order } });
    await pass(1_000);
    await say(wire(7, ["order", { ...filled, closedAt: "2026-01-01T00:01:00.000Z" }]));
    await until(() =>
      expect(result.current).toMatchObject({ isPending: false, progress: { phase: "waiting", order: filled } }),
    );
    expect(venue.of(SENT)).toHaveLength(1);
    expect(venue.of("GET /api/orders/BTC-PERP-o1"), "the stream has said it").toHaveLength(0);
  });

  it("asks how an order ended that ended while the line was cut", async () => {
    const order = { id: "BTC-PERP-o1", type: "market", status: "open", ticker: "BTC-PERP" };
    const filled = { ...order, status: "filled" };
    venue.on(SENT, { order, newBalance: "899.00", clientOrderId: "one", offset: 6 });
    venue.on("GET /api/orders/BTC-PERP-o1", { order: filled });
    const result = await shown(() => usePerpTrade().opening);
    act(() => void result.current.open(OPEN));
    await pass(100);
    await say(wire(6, ["order", { ...order, closedAt: null }]));
    await say(wire(9, ["snapshot", { markets: [MARKET], user: { ...ALICE, orders: [] }, offset: 9 }]));
    await until(() =>
      expect(result.current).toMatchObject({ isPending: false, progress: { phase: "waiting", order: filled } }),
    );
    expect(venue.of(SENT)).toHaveLength(1);
    expect(venue.of("GET /api/orders/BTC-PERP-o1")).toHaveLength(1);
  });

  it("says why the venue refused, and does not send it again", async () => {
    venue.on(SENT, refusal("insufficient_funds", 422, { required: "101.00", available: "3.20" }));
    const result = await shown(() => usePerpTrade().opening);
    act(() => void result.current.open(OPEN));
    await pass(20_000);
    const { progress } = result.current;
    expect(progress.phase === "refused" && progress.refusal).toMatchObject({
      code: "insufficient_funds",
      details: { required: "101.00", available: "3.20" },
    });
    expect(venue.of(SENT)).toHaveLength(1);
  });

  it("sends the same again, with the same id, until there is a verdict", async () => {
    const unknown = refusal("outcome_unknown", 503, {}, { "Retry-After": "1" });
    venue.on(SENT, "throw", unknown, refusal("overloaded", 503, {}, { "Retry-After": "1" }), OPENED);
    const result = await shown(() => usePerpTrade().opening);
    act(() => void result.current.open(OPEN));
    await pass(100);
    expect(result.current.progress).toMatchObject({ phase: "retrying", why: "no_answer" });
    expect(result.current.isPending).toBe(true);
    await pass(10_000);
    await until(() => expect(result.current.progress.phase).toBe("done"));
    const bodies = venue.of(SENT).map((request) => request.body);
    expect(bodies).toHaveLength(4);
    expect(new Set(bodies.map((body) => JSON.stringify(body))).size).toBe(1);
    expect(bodies[0]).toMatchObject({ ...OPEN, clientOrderId: expect.stringMatching(/^page-[0-9a-f]{24}$/) });
  });

  it("waits as long as the venue asks for", async () => {
    venue.on(SENT, refusal("rate_limited", 429, {}, { "Retry-After": "7" }), OPENED);
    const result = await shown(() => usePerpTrade().opening);
    act(() => void result.current.open(OPEN));
    await pass(6_500);
    expect(venue.of(SENT)).toHaveLength(1);
    await pass(1_000);
    expect(venue.of(SENT)).toHaveLength(2);
  });

  it("gives each command an id of its own", async () => {
    venue.on(SENT, OPENED);
    const result = await shown(() => usePerpTrade().opening);
    for (let at = 0; at < 2; at++) {
      act(() => void result.current.open(OPEN));
      await pass(10);
    }
    expect(new Set(venue.of(SENT).map(({ body }) => (body as { clientOrderId: string }).clientOrderId)).size).toBe(2);
  });

  it("closes a share of a position", async () => {
    const path = "POST /api/markets/perps/BTC-PERP-1/close";
    venue.on(path, { position: POSITION, newBalance: "1.00" });
    const result = await shown(() => usePerpTrade().closing);
    act(() => void result.current.close("BTC-PERP-1", { percentage: "0.5" }));
    await pass(10);
    expect(venue.of(path)[0]!.body).toMatchObject({ percentage: "0.5" });
    await until(() => expect(result.current.progress.phase).toBe("done"));
  });
});

describe("usePerpTrade on a position", () => {
  const TRIGGERS = "POST /api/markets/perps/BTC-PERP-1/triggers";
  const MARGIN = "POST /api/markets/perps/BTC-PERP-1/margin";

  it("sets both exits, again with the same id until there is a verdict, and passes the warning on", async () => {
    const set = { position: { ...POSITION, stopLoss: "9000.00" }, warning: "stop_beyond_liquidation", offset: 6 };
    venue.on(TRIGGERS, "throw", set);
    const result = await shown(() => usePerpTrade().triggers);
    act(() => void result.current.set("BTC-PERP-1", { stopLoss: "9000" }));
    await pass(2_000);
    await until(() => expect(result.current.progress).toMatchObject({ phase: "done", answer: set }));
    const bodies = venue.of(TRIGGERS).map((request) => JSON.stringify(request.body));
    expect(bodies).toHaveLength(2);
    expect(new Set(bodies).size).toBe(1);
    expect(JSON.parse(bodies[0]!)).toEqual({ stopLoss: "9000", clientOrderId: expect.stringMatching(/^page-/) });
  });

  it("pays margin in and takes it out, and says what the venue refused", async () => {
    venue.on(MARGIN, refusal("insufficient_margin", 422, { available: "12.34" }));
    const result = await shown(() => usePerpTrade().margin);
    act(() => void result.current.change("BTC-PERP-1", "-50"));
    await pass(10);
    await until(() => expect(result.current.progress.phase).toBe("refused"));
    expect(venue.of(MARGIN)[0]!.body).toMatchObject({ amount: "-50" });
  });

  it("makes a position larger by an open that names it", async () => {
    venue.on(SENT, OPENED);
    const result = await shown(() => usePerpTrade().opening);
    act(() => void result.current.open({ ...OPEN, positionId: "BTC-PERP-1" }));
    await pass(10);
    expect(venue.of(SENT)[0]!.body).toMatchObject({ positionId: "BTC-PERP-1" });
  });
});

describe("usePreview", () => {
  it("asks the venue once the typing has stopped, and keeps the old answer meanwhile", async () => {
    venue.on(QUOTE, { totalRequired: "101.00" }, { totalRequired: "202.00" });
    let size = "1000";
    const wrapper = ({ children }: { children: ReactNode }) => <VenueProvider tab={tab}>{children}</VenueProvider>;
    const { result, rerender } = renderHook(() => usePreview({ ...OPEN, size }, 0), { wrapper });
    await pass(200);
    await pass(50);
    await until(() => expect(result.current.quote!.totalRequired).toBe("101.00"));
    for (size of ["2", "20", "200", "2000"]) {
      rerender();
      await pass(50);
    }
    expect(result.current).toMatchObject({ quote: { totalRequired: "101.00" }, isOld: true });
    await pass(200);
    await pass(50);
    await until(() => expect(result.current).toMatchObject({ quote: { totalRequired: "202.00" }, isOld: false }));
    expect(venue.of(QUOTE)).toHaveLength(2);
  });

  it("shows the refusal instead of numbers that are no longer so", async () => {
    venue.on(QUOTE, refusal("leverage_too_high", 422, { maximum: 20 }));
    const result = await shown(() => usePreview({ ...OPEN, leverage: 99 }, 0));
    await pass(200);
    await pass(50);
    await until(() => expect(result.current.refusal!.code).toBe("leverage_too_high"));
    expect(result.current.quote).toBeNull();
  });
});
