import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SILENCE_MS, Stream } from "../src/live/connection";
import { ALICE, FakeVenue, MARKET, price, wire } from "./fake";

const SNAPSHOT = wire(5, ["snapshot", { markets: [MARKET], offset: 5 }]);

describe("the stream of a tab", () => {
  let venue: FakeVenue;
  let key: string | null;
  let stream: Stream;

  beforeEach(() => {
    vi.useFakeTimers();
    venue = new FakeVenue();
    key = null;
    stream = new Stream("http://venue/", () => key, { fetch: venue.fetch, now: Date.now });
    stream.start();
  });
  afterEach(() => {
    stream.stop();
    vi.useRealTimers();
  });

  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  const phase = () => stream.get().connection.phase;
  const last = () => venue.streams.at(-1)!;
  /** The venue says once a second that it lives. */
  const live = async (seconds: number) => {
    for (let at = 0; at < seconds; at++) {
      last().write(": ping\n\n");
      await pass(1_000);
    }
  };

  it("is live from the first snapshot on, and stays so while the venue is quiet but says that it lives", async () => {
    await pass(0);
    expect(phase()).toBe("connecting");
    last().write(SNAPSHOT);
    await pass(0);
    expect(phase()).toBe("live");
    await live(30);
    expect(phase()).toBe("live");
    expect(venue.streams).toHaveLength(1);
  });

  it("says at once that the line is cut, and comes back behind the last row that was whole", async () => {
    await pass(0);
    last().write(SNAPSHOT + wire(6, ["price", price("10100.00", 6)]) + "event: price\ndata: {}\n\n");
    await pass(0);
    last().end();
    await pass(0);
    expect(phase()).toBe("cut");
    expect(stream.get().connection.heardAt).toBeLessThanOrEqual(Date.now());
    await pass(200);
    expect(phase()).toBe("live");
    expect(last().headers.get("Last-Event-ID")).toBe("1-6");
    last().write(wire(7, ["price", price("10200.00", 7)]));
    await pass(0);
    expect(stream.get().state.markets.get("BTC-PERP")!.currentPrice).toBe("10200.00");
    expect(stream.get().state.resets).toBe(1);
  });

  it("notices within two seconds that nothing comes any more", async () => {
    await pass(0);
    last().write(SNAPSHOT);
    await pass(0);
    await pass(SILENCE_MS - 100);
    expect(phase()).toBe("live");
    venue.streamStatus = 503;
    await pass(2_000 - (SILENCE_MS - 100));
    expect(phase()).toBe("cut");
  });

  it("goes on trying while the venue does not answer, and shows what it knew", async () => {
    await pass(0);
    last().write(SNAPSHOT);
    await pass(0);
    venue.streamStatus = 503;
    last().end();
    await pass(5_000);
    expect(phase()).toBe("cut");
    expect(stream.get().state.markets.size).toBe(1);
    venue.streamStatus = 200;
    await pass(1_000);
    expect(phase()).toBe("live");
  });

  it("begins anew with another key, and forgets whose data it had", async () => {
    await pass(0);
    key = "perps_alice";
    stream.restart();
    await pass(0);
    expect(last().headers.get("Authorization")).toBe("Bearer perps_alice");
    expect(last().headers.has("Last-Event-ID")).toBe(false);
    last().write(wire(5, ["snapshot", { markets: [MARKET], user: ALICE, offset: 5 }]));
    await pass(0);
    expect(stream.get().state.user!.userId).toBe("alice");
    key = null;
    stream.restart();
    expect(stream.get().state.user).toBeNull();
  });

  it("takes a new snapshot when a market is listed", async () => {
    await pass(0);
    last().write(SNAPSHOT + wire(6, ["market", { ticker: "NEW-PERP", status: "enabled", reason: "", name: "New" }]));
    await pass(0);
    expect(venue.streams).toHaveLength(2);
    expect(last().headers.has("Last-Event-ID")).toBe(false);
  });

  it("ends with a key that the venue does not take, and can begin without it", async () => {
    await pass(0);
    venue.streamStatus = 401;
    last().end();
    await pass(200);
    expect(phase()).toBe("ended");
    venue.streamStatus = 200;
    stream.restart();
    await pass(0);
    last().write(SNAPSHOT);
    await pass(0);
    expect(phase()).toBe("live");
  });

  it("goes on where it was when it is started again, with one line", async () => {
    await pass(0);
    last().write(SNAPSHOT);
    await pass(0);
    stream.stop();
    stream.start();
    await pass(5);
    expect(venue.streams).toHaveLength(2);
    expect(last().headers.get("Last-Event-ID")).toBe("1-5");
    await live(3);
    expect(venue.streams).toHaveLength(2);
    expect(phase()).toBe("live");
  });

  it("makes one line, however it is stopped and started while it waits to try again", async () => {
    await pass(0);
    last().write(SNAPSHOT);
    await pass(0);
    venue.streamStatus = 503;
    last().end();
    await pass(20);
    stream.stop();
    stream.start();
    venue.streamStatus = 200;
    await pass(600);
    expect(venue.streams).toHaveLength(2);
  });

  it("tells those who look on at most every tenth of a second, and of a cut at once", async () => {
    await pass(0);
    last().write(SNAPSHOT);
    await pass(200);
    let told = 0;
    stream.subscribe(() => told++);
    for (let offset = 6; offset < 206; offset++) last().write(wire(offset, ["price", price("10100.00", offset)]));
    await pass(200);
    expect(told).toBe(1);
    told = 0;
    last().end();
    await pass(0);
    expect(told).toBe(1);
  });

  it("tells with a picture, at most ten times a second, and less often where drawing takes long", async () => {
    stream.stop();
    let drawing = 0;
    const frame = (then: () => void) => void setTimeout(then, 16 + drawing);
    const paced = new Stream("http://venue/", () => key, { fetch: venue.fetch, now: Date.now, frame });
    paced.start();
    await pass(0);
    last().write(SNAPSHOT);
    await pass(500);
    let [told, offset] = [0, 5];
    paced.subscribe(() => told++);
    const second = async () => {
      told = 0;
      for (let at = 0; at < 50; at++) {
        last().write(wire(++offset, ["price", price("10100.00", offset)]));
        await pass(20);
      }
      return told;
    };
    expect(await second()).toBeGreaterThan(6);
    expect(told).toBeLessThanOrEqual(10);
    drawing = 400;
    await second();
    expect(await second()).toBeLessThanOrEqual(2);
    const slow = (await second()) + (await second()) + (await second());
    expect(slow, "each telling waits for twice its drawing").toBeLessThanOrEqual(3);
    expect(slow).toBeGreaterThan(0);
    drawing = 0;
    await second();
    expect(await second()).toBeGreaterThan(6);
    paced.stop();
  });
});
