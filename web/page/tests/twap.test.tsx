import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { VenueProvider, tabAt, useOrders, useWalletBalance } from "../src/hooks";
import { DeskProvider } from "../src/views/frame/desk";
import { OrdersTable } from "../src/views/orders/table";
import { TwapForm } from "../src/views/orders/twap";
import { useDraft } from "../src/views/ticket/draft";
import { endOf, inText, orderName } from "../src/words/orders";
import { ALICE, FakeVenue, MARKET, ORDER, refusal, wire } from "./fake";

const SLICES = {
  slices: 12,
  intervalMs: 300_000,
  done: 3,
  skipped: 0,
  skipReason: null,
  filled: "250.00",
  left: "750.00",
  nextAt: "2026-01-01T00:05:42.000Z",
};
const TWAP = { ...ORDER, type: "twap", averagePrice: "10001.00", twap: SLICES } as const;
const QUOTED = {
  status: "open",
  reason: null,
  reserve: "101.000024",
  maxFee: "1.00",
  markPrice: "10000.00",
  expected: { status: "filled", indexPrice: "10000.00", fill: { price: "10000.50", quantity: "0.1", notional: "1000.00", priceImpact: "0.00005" }, liquidationPrice: "9045.67" },
  warnings: [],
  offset: 5,
  execution: "immediate",
  triggerPrice: null,
}; // prettier-ignore

let venue: FakeVenue;
let tab: ReturnType<typeof tabAt>;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-01T00:05:00.000Z") });
  localStorage.clear();
  sessionStorage.setItem("perps.session", JSON.stringify({ key: "perps_alice", userId: "alice" }));
  venue = new FakeVenue();
  venue.on("POST /api/orders/quote", QUOTED);
  tab = tabAt("http://venue/", sessionStorage, { fetch: venue.fetch, now: Date.now });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const clock = setTimeout;
const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
/** Answers come by the real clock. */
const answered = async () => {
  for (let times = 0; times < 10; times++) {
    await act(() => new Promise((resolve) => clock(resolve, 2)));
    await pass(10);
  }
};
const at = (id: string) => screen.getByTestId(id);
const type = async (id: string, value: string) => {
  await act(() => fireEvent.change(at(id), { target: { value } }));
  await pass(300);
  await answered();
};

function Ticket() {
  const wallet = useWalletBalance();
  const draft = useDraft(MARKET, wallet?.available ?? null);
  const orders = useOrders();
  return (
    <>
      {wallet && <TwapForm market={MARKET} draft={draft} wallet={wallet} onLock={() => undefined} />}
      {orders && <OrdersTable orders={orders} />}
    </>
  );
}

async function shown(orders: readonly object[] = []): Promise<void> {
  render(
    <VenueProvider tab={tab}>
      <DeskProvider first="BTC-PERP">
        <Ticket />
      </DeskProvider>
    </VenueProvider>,
  );
  await pass(10);
  venue.streams.at(-1)!.write(wire(5, ["snapshot", { markets: [MARKET], user: { ...ALICE, orders }, offset: 5 }]));
  await pass(200);
}

describe("the ticket of a TWAP", () => {
  it("says what each part is, how long it takes, and what the venue sets aside; then places it", async () => {
    venue.on("POST /api/orders", { order: TWAP, newBalance: "798.00", clientOrderId: "x", offset: 6 });
    await shown();
    await type("ticket-size", "600");
    expect(at("twap-schedule").textContent).toBe(
      "12 parts of about 50.00: the first now, the last in 55 min, at 01:00:00",
    );
    expect(at("ticket-preview").textContent).toContain("101.00");
    expect(at("ticket-submit").textContent).toBe("TWAP long 600 over 55 min");
    await type("twap-slices", "5");
    await act(() => fireEvent.change(at("twap-unit"), { target: { value: "s" } }));
    await type("twap-every", "90");
    expect(at("ticket-submit").textContent).toBe("TWAP long 600 over 6 min");
    await act(async () => fireEvent.click(at("ticket-submit")));
    await answered();
    expect(venue.of("POST /api/orders")[0]!.body).toEqual({
      ticker: "BTC-PERP",
      type: "twap",
      side: "long",
      size: "600",
      leverage: 10,
      slices: 5,
      intervalMs: 90_000,
      clientOrderId: expect.stringMatching(/^page-/),
    });
  });

  it.each([
    ["twap-slices", "1", "2 to 100 parts", "Check the parts"],
    ["twap-slices", "a few", "2 to 100 parts", "Check the parts"],
    ["twap-slices", "90", "Take 50 parts, or 900", "The parts are too small"],
    ["twap-every", "2000", "24 hours", "Check the time"],
  ])("marks what the venue would refuse: %s %s", async (field, value, why, button) => {
    await shown();
    await type("ticket-size", "500");
    await type(field, value);
    expect(at(field).getAttribute("aria-invalid")).toBe("true");
    expect(at("ticket-refusal").textContent).toContain(why);
    expect(at("ticket-submit").textContent).toBe(button);
  });

  it("says why the venue refused it, beside its field", async () => {
    venue.on("POST /api/orders", refusal("position_size_too_small", 422, { mostSlices: 4, smallestSlice: "100.00" }));
    await shown();
    await type("ticket-size", "500");
    await act(async () => fireEvent.click(at("ticket-submit")));
    await answered();
    expect(at("twap-slices").getAttribute("aria-invalid")).toBe("true");
    expect(at("ticket-refusal").textContent).toContain("take 4 parts");
  });

  it("says before it is sent that the wallet does not hold enough", async () => {
    venue.on("POST /api/orders/quote", { ...QUOTED, reserve: "5000.00" });
    await shown();
    await type("ticket-size", "50000");
    expect(at("ticket-refusal").textContent).toContain("That needs 5,000.00. You have 899.00.");
  });
});

describe("a TWAP that runs", () => {
  it("shows what is done, what is left, and when the next part comes", async () => {
    await shown([TWAP]);
    expect(at(`order-twap-${TWAP.id}`).textContent).toBe("3 of 12 parts750.00 left, next in 00:41");
    const moved = {
      ...TWAP,
      twap: { ...SLICES, done: 4, skipped: 1, left: "700.00", nextAt: "2026-01-01T00:10:42.000Z" },
    };
    venue.streams.at(-1)!.write(wire(6, ["order", moved]));
    await pass(200);
    expect(at(`order-twap-${TWAP.id}`).textContent).toContain("4 of 12 parts, 1 skipped700.00 left");
    expect(screen.queryByTestId(`order-edit-${TWAP.id}`)).toBeNull();
    expect(at(`order-cancel-${TWAP.id}`)).toBeTruthy();
  });

  it("is said to be done with what it took, and with what it could not take", () => {
    const end = (more: object, slices: object = {}) =>
      endOf({ ...TWAP, closedAt: "2026-01-01T01:00:00.000Z", ...more, twap: { ...SLICES, ...slices } }, MARKET);
    expect(end({ status: "filled" }, { filled: "1000.00", left: "0.00" })).toEqual({
      title: "BTC TWAP is done",
      text: "Long 1,000.00 at 10,001.00.",
      isGood: true,
    });
    const part = end({ status: "cancelled", reason: "completed" }, { filled: "900.00", left: "100.00", skipReason: "max_skew_exceeded" }); // prettier-ignore
    expect(part).toMatchObject({ isGood: false });
    expect(part!.text).toContain("100.00 could not be taken: The market had no room for it.");
    expect(inText(TWAP)).toBe("TWAP");
    expect(orderName(TWAP, MARKET)).toBe("TWAP long 1,000 BTC in 12 parts");
  });
});
