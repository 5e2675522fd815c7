import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { VenueProvider, tabAt } from "../src/hooks";
import { useEquity, useHistory, useLeaderboard } from "../src/hooks/useHistory";
import { curveOf, gained, stepOf } from "../src/live/equity";
import { csv } from "../src/words/csv";
import { ALICE, BALANCE, FakeVenue, MARKET, POSITION, price, refusal, wire } from "./fake";

let venue: FakeVenue;
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const clock = setTimeout;

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse("2026-01-01T00:10:00Z") });
  sessionStorage.setItem("perps.session", JSON.stringify({ key: "perps_alice", userId: "alice" }));
  venue = new FakeVenue();
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

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

async function shown<T>(hook: () => T) {
  const tab = tabAt("http://venue/", sessionStorage, { fetch: venue.fetch, now: Date.now });
  const wrapper = ({ children }: { children: ReactNode }) => <VenueProvider tab={tab}>{children}</VenueProvider>;
  const { result } = renderHook(hook, { wrapper });
  await pass(10);
  await say(wire(5, ["snapshot", { markets: [MARKET], user: ALICE, offset: 5 }]));
  return result;
}

const say = async (text: string) => {
  venue.streams.at(-1)!.write(text);
  await pass(200);
};

const POINTS = [
  { at: "2026-01-01T00:05:00.000Z", equity: "999.00", paidIn: "1000.00" },
  { at: "2026-01-01T00:00:00.000Z", equity: "500.00", paidIn: "500.00" },
];

describe("useEquity", () => {
  it("ends with what the user has now, live", async () => {
    venue.on("GET /api/users/me/equity", { points: POINTS, offset: 5, nextCursor: null });
    const result = await shown(() => useEquity("7d"));
    await until(() => expect(result.current.points).toHaveLength(2));
    await say(wire(6, ["price", price("10500.00", 6)]));
    expect(result.current.points.map((point) => point.equity)).toEqual(["500.00", "1049"]);
    expect(result.current.points.at(-1)!.paidIn).toBe("1000");
    expect(gained(result.current.points)).toBe("49");
  });
});

describe("useHistory", () => {
  const path = "GET /api/users/me/transactions";
  const one = (id: string) => ({ id, type: "fee", amount: "-1", balanceBefore: "2", balanceAfter: "1", at: "" });

  it("reads on when asked, and reads all there is for a file", async () => {
    const [first, second] = [
      { transactions: [one("2-0")], nextCursor: "2-0" },
      { transactions: [one("1-0")], nextCursor: null },
    ];
    venue.on(path, first, second, first, refusal("rate_limited", 429, {}, { "Retry-After": "1" }), second);
    const result = await shown(() => useHistory("money"));
    await until(() => expect(result.current.rows.map((row) => row.id)).toEqual(["2-0"]));
    await until(() => expect(result.current.more).not.toBeNull());
    act(() => result.current.more!());
    await until(() => expect(result.current.rows.map((row) => row.id)).toEqual(["2-0", "1-0"]));
    expect(result.current.more).toBeNull();
    let all: readonly { id: string }[] = [];
    void result.current.all().then((rows) => (all = rows));
    await pass(2_000);
    await until(() => expect(all.map((row) => row.id)).toEqual(["2-0", "1-0"]));
    expect(venue.of(path)).toHaveLength(5);
  });

  it("reads again when the wallet has changed", async () => {
    venue.on(path, { transactions: [one("2-0")], nextCursor: null });
    const result = await shown(() => useHistory("money"));
    await until(() => expect(result.current.rows).toHaveLength(1));
    venue.on(path, { transactions: [one("6-0"), one("2-0")], nextCursor: null });
    await say(wire(6, ["balance", { ...BALANCE, offset: 6 }]));
    await until(() => expect(result.current.rows).toHaveLength(2));
  });

  it("lists past positions", async () => {
    const found = { perpetuals: { positions: [POSITION], stats: {} }, nextCursor: null };
    venue.on("GET /api/markets/positions/me", found);
    const result = await shown(() => useHistory("positions"));
    await until(() => expect(result.current.rows[0]!.id).toBe("BTC-PERP-1"));
  });
});

describe("useLeaderboard", () => {
  it.each([
    ["unauthorized", 401],
    ["forbidden", 403],
  ])("shows nothing where the venue says %s, and does not ask again", async (code, status) => {
    const path = "GET /api/users/leaderboard";
    venue.on(path, refusal(code, status));
    const result = await shown(() => useLeaderboard("equity", "7d"));
    await pass(120_000);
    expect(result.current).toBeNull();
    expect(venue.of(path)).toHaveLength(1);
  });
});

describe("the curve", () => {
  const points = [...POINTS].reverse();

  it("goes from the left to the right, and paid-in money goes up in a step", () => {
    const { equity, paidIn, marks } = curveOf(points)!;
    expect(equity.map(([x]) => x)).toEqual([0, 1]);
    expect(paidIn.map(([x]) => x)).toEqual([0, 1, 1]);
    expect(paidIn[0]![1]).toBe(paidIn[1]![1]);
    expect(paidIn[2]![1]).toBeLessThan(paidIn[1]![1]);
    expect(marks.map(({ value }) => value)).toEqual([600, 800, 1000]);
  });

  it("is not drawn of a single moment", () => expect(curveOf(points.slice(1))).toBeNull());

  it("counts no deposit as a gain", () => expect(gained(points)).toBe("-1"));

  it.each([
    [0, 100, 25],
    [990, 1010, 5],
    [1000, 1000.5, 0.2],
  ])("has marks that read well from %d to %d", (low, high, step) => expect(stepOf(low, high, 4)).toBeCloseTo(step));
});

describe("a file", () => {
  it("has exact values, and no text in it is a formula", () => {
    const text = csv(["id", "what"], [["1-0", -3.5], ["=1+1", 'a "b", c'], [null, "-0.10"]]); // prettier-ignore
    expect(text).toBe('id,what\r\n1-0,-3.5\r\n\'=1+1,"a ""b"", c"\r\n,-0.10\r\n');
  });
});
