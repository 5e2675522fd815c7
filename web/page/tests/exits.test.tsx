import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { VenueProvider, tabAt, useUserPositions } from "../src/hooks";
import { trailingPrice } from "../src/live/money";
import { NOTHING, taken } from "../src/live/state";
import { DeskProvider } from "../src/views/frame/desk";
import { Sheets } from "../src/views/frame/sheets";
import { OrderSheet } from "../src/views/orders/edit";
import { ExitOrderForm } from "../src/views/orders/exit";
import { worstOf } from "../src/views/orders/fields";
import { PartsForm } from "../src/views/positions/parts";
import { endOf, isExitOf, isReached, purpose } from "../src/words/orders";
import { ALICE, FakeVenue, MARKET, ORDER, POSITION, price, refusal, row, wire } from "./fake";

const EXIT = { ...ORDER, id: "BTC-PERP-o7", type: "take_profit", size: null, price: "11000.00", reserve: "0.00", positionId: POSITION.id, reduceOnly: true, percentage: "0.5" } as const; // prettier-ignore
const PLACED = { order: EXIT, newBalance: "899.00", clientOrderId: "x", offset: 6 };

let venue: FakeVenue;
let tab: ReturnType<typeof tabAt>;

beforeEach(() => {
  vi.useFakeTimers();
  HTMLDialogElement.prototype.showModal ??= () => undefined;
  sessionStorage.setItem("perps.session", JSON.stringify({ key: "perps_alice", userId: "alice" }));
  venue = new FakeVenue();
  tab = tabAt("http://venue/", sessionStorage, { fetch: venue.fetch, now: Date.now });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

const pass = (ms: number) => act(() => vi.advanceTimersByTimeAsync(ms));
const say = async (text: string) => {
  venue.streams.at(-1)!.write(text);
  await pass(200);
};

function Parts({ change }: { change: object | null }) {
  const position = useUserPositions()?.[0];
  if (position === undefined) return null;
  const parts = { position, market: MARKET };
  return change ? (
    <ExitOrderForm {...parts} order={{ ...EXIT, ...change }} onDone={() => undefined} />
  ) : (
    <>
      <PartsForm {...parts} />
      <Sheets />
    </>
  );
}

async function shown(orders: readonly object[], change: object | null = null, more: ReactNode = null): Promise<void> {
  render(
    <VenueProvider tab={tab}>
      <DeskProvider first="BTC-PERP">{more ?? <Parts change={change} />}</DeskProvider>
    </VenueProvider>,
  );
  await pass(10);
  await say(wire(5, ["snapshot", { markets: [MARKET], user: { ...ALICE, orders }, offset: 5 }]));
}

const at = (id: string) => screen.getByTestId(id);
const type = (id: string, value: string) => act(() => fireEvent.change(at(id), { target: { value } }));
const button = () => at("exit-submit").textContent;

describe("exits by share", () => {
  it("are placed for a share of the position at a price, and the button says which", async () => {
    venue.on("POST /api/orders", PLACED);
    await shown([]);
    expect(button()).toBe("Take-profit for half of it at 10,100.00");
    await type("exit-share", "25");
    await type("exit-price", "11,000");
    expect(button()).toBe("Take-profit for 25 % of it at 11,000.00");
    expect(screen.getByText("+25.00")).toBeTruthy();
    await act(async () => fireEvent.click(at("exit-submit")));
    await pass(100);
    expect(venue.of("POST /api/orders").map(({ body }) => body)).toEqual([
      {
        positionId: POSITION.id,
        type: "take_profit",
        price: "11000",
        percentage: "0.25",
        clientOrderId: expect.stringMatching(/^page-/),
      },
    ]);
  });

  it("take a share, and a distance, of one click", async () => {
    await shown([]);
    await act(() => fireEvent.click(screen.getByText("75 %")));
    expect(button()).toBe("Take-profit for 75 % of it at 10,100.00");
    await act(() => fireEvent.click(screen.getByText("All")));
    expect(screen.getByText("All").getAttribute("aria-pressed")).toBe("true");
    await act(() => fireEvent.click(at("exit-type-trailing_stop")));
    await act(() => fireEvent.click(screen.getByText("0.5 %")));
    expect(button()).toBe("Trailing stop for all of it, 0.50 % behind");
  });

  it("that expire have set nothing aside that could come back", () => {
    const order = { ...EXIT, status: "expired", closedAt: "2026-01-01T01:00:00.000Z" } as const;
    expect(endOf(order, MARKET)).toEqual({ title: "BTC take-profit expired", text: "It did not fill.", isGood: false });
  });

  it("that the price has reached already are not sent: the field says why", async () => {
    await shown([]);
    await act(() => fireEvent.click(at("exit-type-stop")));
    expect(button()).toBe("Stop-loss for half of it at 9,900.00");
    await type("exit-price", "10100");
    expect(at("exit-price").getAttribute("aria-invalid")).toBe("true");
    expect(at("ticket-refusal").textContent).toContain("waits below the price");
    await act(async () => fireEvent.click(at("exit-submit")));
    expect(venue.of("POST /api/orders")).toEqual([]);
  });

  it.each([
    [refusal("validation_error", 422, { field: "percentage" }), "exit-share", "Check the order"],
    [refusal("validation_error", 422, { field: "price" }), "exit-price", "Check the order"],
    [refusal("too_many_open_orders", 409), null, "Too many orders"],
    [refusal("position_closed", 409), null, "It is closed already"],
  ])("that the venue refuses mark the field and say why %#", async (answer, field, said) => {
    venue.on("POST /api/orders", answer);
    await shown([]);
    await act(async () => fireEvent.click(at("exit-submit")));
    await pass(100);
    expect(button()).toBe(said);
    expect(at("ticket-refusal").textContent).not.toBe("");
    for (const one of ["exit-share", "exit-price"])
      expect(at(one).getAttribute("aria-invalid")).toBe(String(one === field));
  });

  it("are listed with what they bring, and cancelled", async () => {
    const path = `DELETE /api/orders/${EXIT.id}`;
    venue.on(path, { order: { ...EXIT, status: "cancelled", reason: "owner" }, offset: 6 });
    await shown([EXIT, ORDER]);
    expect(at("exit-orders").children).toHaveLength(1);
    expect(at(`exit-order-${EXIT.id}`).textContent).toContain("Take-profit 11,000.00half of it, about +50.00");
    await act(async () => fireEvent.click(at(`exit-cancel-${EXIT.id}`)));
    await pass(100);
    expect(venue.of(path)).toHaveLength(1);
  });

  it("are changed: only what differs is sent", async () => {
    const path = `PATCH /api/orders/${EXIT.id}`;
    venue.on(path, PLACED);
    await shown([EXIT], {});
    expect(button()).toBe("As it is");
    await type("exit-share", "100");
    expect(button()).toBe("Change to all of it at 11,000.00");
    await act(async () => fireEvent.click(at("exit-submit")));
    await pass(100);
    expect(venue.of(path)[0]!.body).toEqual({ percentage: "1", clientOrderId: expect.stringMatching(/^page-/) });
  });

  it.each([
    ["a third of it", { percentage: "0.333333333" }],
    ["a trailing stop an eighth of a per cent behind", { type: "trailing_stop", callback: "0.00125" }],
  ])("begin as they are, to the last decimal: %s", async (_, terms) => {
    await shown([EXIT], terms);
    expect(button()).toBe("As it is");
  });

  it("begin as they are, also the size of an order", async () => {
    const order = { ...ORDER, size: "1000.000005" };
    await shown([order], null, <OrderSheet id={ORDER.id} onClose={() => undefined} />);
    expect(at("order-submit").textContent).toBe("As it is");
  });
});

describe("a trailing stop", () => {
  const TRAILING = { ...EXIT, id: "BTC-PERP-o8", type: "trailing_stop", price: "9800.00", callback: "0.02", extremePrice: "10000.00" } as const; // prettier-ignore

  it("is placed by how far it stays behind the mark, and has no price", async () => {
    venue.on("POST /api/orders", { ...PLACED, order: TRAILING });
    await shown([]);
    await act(() => fireEvent.click(at("exit-type-trailing_stop")));
    expect(button()).toBe("Trailing stop for half of it, 2.00 % behind");
    expect(screen.getByText(/now it would leave at 9,800\.00/)).toBeTruthy();
    await type("exit-callback", "100");
    expect(at("exit-callback").getAttribute("aria-invalid")).toBe("true");
    expect(button()).toBe("Type how far");
    await type("exit-callback", "1.5");
    await act(async () => fireEvent.click(at("exit-submit")));
    await pass(100);
    expect(venue.of("POST /api/orders")[0]!.body).toEqual({
      positionId: POSITION.id,
      type: "trailing_stop",
      callback: "0.015",
      percentage: "0.5",
      clientOrderId: expect.stringMatching(/^page-/),
    });
  });

  it("that the venue refuses marks its field", async () => {
    venue.on("POST /api/orders", refusal("validation_error", 422, { field: "callback" }));
    await shown([]);
    await act(() => fireEvent.click(at("exit-type-trailing_stop")));
    await act(async () => fireEvent.click(at("exit-submit")));
    await pass(100);
    expect(at("exit-callback").getAttribute("aria-invalid")).toBe("true");
    expect(button()).toBe("Check the order");
  });

  it("goes with each better mark as the venue's own does, and stays where the mark falls back", () => {
    const snapshot = { markets: [MARKET], user: { ...ALICE, orders: [TRAILING, EXIT] }, offset: 5 };
    let state = taken(NOTHING, row(5, ["snapshot", snapshot]));
    const place = () => {
      const { price, extremePrice } = state.user!.orders.get(TRAILING.id)!;
      return [price, extremePrice];
    };
    state = taken(state, row(6, ["price", price("9990.00", 6)]));
    expect(place()).toEqual(["9800.00", "10000.00"]);
    state = taken(state, row(7, ["price", price("10333.33", 7)]));
    expect(place()).toEqual(["10126.66", "10333.33"]);
    state = taken(state, row(8, ["price", price("10200.00", 8)]));
    expect(place()).toEqual(["10126.66", "10333.33"]);
  });

  it("of a short follows down, and is rounded up to the tick", () => {
    expect(trailingPrice("short", "9999.99", "0.02", "0.01")).toBe("10199.99");
    expect(trailingPrice("short", "9999.98", "0.013", "0.01")).toBe("10129.98");
    expect(trailingPrice("long", "9999.98", "0.013", "0.01")).toBe("9869.98");
  });
});

describe("words of exits", () => {
  it("say what an exit does, and when the price has reached it", () => {
    expect(purpose(EXIT, MARKET)).toBe(
      "When the mark price rises to 11,000.00 (10.0 % from now), this closes half of it at the market.",
    );
    const short = { ...EXIT, side: "short", price: "10000" } as const;
    expect([EXIT, short].map((order) => isReached(order, MARKET))).toEqual([false, true]);
  });

  it("know an exit from a close that waits for the next price", () => {
    expect(isExitOf(EXIT, POSITION.id)).toBe(true);
    expect(isExitOf({ ...EXIT, type: "market" }, POSITION.id)).toBe(false);
    expect(isExitOf(EXIT, "BTC-PERP-2")).toBe(false);
  });

  it("take a lower price as worse for whoever leaves a long", () => {
    expect(worstOf("10000", { ...EXIT, type: "stop" }, "100")).toBe("9900");
    expect(worstOf("10000", { type: "stop", side: "long" }, "100")).toBe("10100");
  });
});
