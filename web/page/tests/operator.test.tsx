import { act, cleanup, renderHook } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { venueAt } from "../src/api/venue";
import { VenueProvider, tabAt, useHolder, useSession } from "../src/hooks";
import { cushionOf, useOperate, useReady, useStats, useUsers } from "../src/hooks/useOperator";
import { Sessions } from "../src/live/session";
import { FakeVenue, refusal } from "./fake";

let venue: FakeVenue;
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const clock = setTimeout;
const STATS = "GET /api/admin/stats";

beforeEach(() => {
  vi.useFakeTimers();
  sessionStorage.setItem("perps.session", JSON.stringify({ key: "perps_admin", userId: null, isOperator: true }));
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
  return result;
}

describe("a key that runs the venue and trades for nobody", () => {
  it("follows the markets as anybody does, and is no trader", async () => {
    const result = await shown(() => ({ holder: useHolder(), trader: useSession() }));
    expect(result.current).toMatchObject({ holder: { isOperator: true, userId: null }, trader: null });
    expect(venue.streams[0]!.headers.has("Authorization")).toBe(false);
  });

  it.each([
    [
      { userId: null, scopes: ["admin"] },
      { isOperator: true, userId: null },
    ],
    [
      { userId: "ann", scopes: ["read", "trade"] },
      { isOperator: false, userId: "ann" },
    ],
    [{ userId: null, scopes: ["price"] }, null],
    [{ userId: "ann", scopes: ["read"] }, null],
  ])("signs in with %j as %j", async (me, as) => {
    vi.useRealTimers();
    sessionStorage.clear();
    venue.on("GET /api/me", { ...me, keyId: "k", label: "", expiresAt: null });
    const sessions = new Sessions(sessionStorage);
    await sessions
      .signIn(
        venueAt("http://venue", () => null, venue.fetch),
        "perps_x",
      )
      .catch(() => {});
    if (as === null) expect(sessions.get()).toBeNull();
    else expect(sessions.get()).toMatchObject(as);
    expect(new Sessions(sessionStorage).get()).toEqual(sessions.get());
  });
});

describe("figures", () => {
  it("are read again while somebody looks, with the key", async () => {
    venue.on(STATS, { users: 1 }, { users: 2 });
    const result = await shown(() => useStats());
    await until(() => expect(result.current.data).toEqual({ users: 1 }));
    await pass(3_100);
    await until(() => expect(result.current.data).toEqual({ users: 2 }));
    expect(venue.of(STATS)[0]!.headers.get("Authorization")).toBe("Bearer perps_admin");
  });

  it("list users page by page, and read all pages that are shown again", async () => {
    const page = (userId: string, nextCursor: string | null) => ({ users: [{ userId }], offset: 1, nextCursor });
    venue.on("GET /api/admin/users", page("zoe", "c1"), page("ann", null));
    const result = await shown(() => useUsers());
    await until(() => expect(result.current.data).toEqual([{ userId: "zoe" }]));
    act(() => result.current.more!());
    await until(() => expect(result.current.data).toEqual([{ userId: "zoe" }, { userId: "ann" }]));
    expect(result.current.more).toBeNull();
  });

  it("have what is not ready, although the venue answers 503", async () => {
    const ready = { status: "not_ready", problems: { journal: "disk full" }, since: {}, offset: 1 };
    venue.on("GET /readyz", Response.json(ready, { status: 503 }));
    const result = await shown(() => useReady());
    await until(() => expect(result.current.data).toEqual(ready));
  });

  it.each([
    ["1000.00", "130.00", 870, 0.87],
    ["1000.00", "-50.00", 1000, 1],
    ["100.00", "130.00", -30, 0],
    ["0.00", "0.00", 0, 0],
  ])("with %s to pay and %s owed leave %d", (houseAvailable, houseLiability, left, share) => {
    const stats = { houseAvailable, houseLiability } as Parameters<typeof cushionOf>[0];
    expect(cushionOf(stats)).toEqual({ left, share });
  });
});

describe("commands of an operator", () => {
  const PAY = "POST /api/admin/users/ann/deposit";
  const KEY = "POST /api/admin/keys";

  it("send money again with the same id until there is a verdict, and read the figures again", async () => {
    venue.on(STATS, { users: 1 });
    venue.on(PAY, "throw", { userId: "ann", newBalance: "50.00" });
    const result = await shown(() => ({ stats: useStats(), pay: useOperate("pay") }));
    await until(() => expect(result.current.stats.data).not.toBeNull());
    const before = venue.of(STATS).length;
    act(() => void result.current.pay.run("ann", "50", false));
    await pass(1_000);
    await until(() => expect(result.current.pay.progress.phase).toBe("done"));
    const bodies = venue.of(PAY).map(({ body }) => JSON.stringify(body));
    expect(bodies).toHaveLength(2);
    expect(new Set(bodies).size).toBe(1);
    await until(() => expect(venue.of(STATS).length).toBeGreaterThan(before));
  });

  it("make a key once: without an answer they say so and do not send it again", async () => {
    venue.on(KEY, "throw");
    const result = await shown(() => useOperate("addKey"));
    act(() => void result.current.run("ann"));
    await pass(10_000);
    await until(() => expect(result.current).toMatchObject({ isLost: true, isPending: false }));
    expect(venue.of(KEY)).toHaveLength(1);
  });

  it("say why the venue refused", async () => {
    venue.on("POST /api/admin/markets/BTC-PERP/settle", refusal("house_cannot_pay", 422, { missing: "5.00" }));
    const result = await shown(() => useOperate("settle"));
    act(() => void result.current.run("BTC-PERP"));
    await until(() => expect(result.current.refusal).toMatchObject({ details: { missing: "5.00" } }));
  });
});
