/** A venue that answers as a test says, and whose stream a test writes. */
import type { Balance, Market, Order, Position } from "../src/api/venue";

export const MARKET: Market = {
  ticker: "BTC-PERP",
  organizationId: "btc",
  name: "Bitcoin",
  status: "enabled",
  currentPrice: "10000.00",
  indexPrice: "10000.00",
  markPrice: "10000.00",
  change24h: "400.00",
  changePercent24h: "4.17",
  high24h: "10100.00",
  low24h: "9500.00",
  volume24h: "1000.00",
  openInterest: { long: "1.00", short: "0.50" },
  skew: "0.50",
  fundingRate: {
    rate: "0.0001",
    predictedRate: "0.0001",
    nextFundingTime: "2026-01-01T01:00:00.000Z",
    annualized: "0.876",
    velocity: "0.00002",
  },
  markSource: "index",
  skewScale: "1000000.00",
  maxSkew: "1000.00",
  maxOpenInterest: "2000.00",
  maxLeverage: 100,
  minOrderSize: "10.00",
  tickSize: "0.01",
  lotSize: "0.0001",
  makerFee: "0.001",
  takerFee: "0.001",
  maintenanceRate: "0.005",
  liquidationFee: "0.002",
  referralShare: "0.5",
  priceAt: "2026-01-01T00:00:00.000Z",
  fundingVelocity: "0.0115",
  maxFundingRate: "0.0065",
  maxPriceAge: null,
  priceBand: null,
  priceConfirmations: 3,
  heldPrice: null,
  tradingRange: { byOpens: "0.001", byCloses: "0.002" },
  maxStep: null,
  exactMark: false,
  tiers: [],
  partialLiquidation: null,
  liquidationBuffer: "0.25",
  deleveraging: false,
  execution: "immediate",
  pendingLimit: "30",
  clockSkew: "0.2",
  chargesMakerFee: true,
  maxPositionsPerUser: null,
  maxNotionalPerUser: null,
};

export const POSITION: Position = {
  id: "BTC-PERP-1",
  userId: "alice",
  ticker: "BTC-PERP",
  organizationId: "btc",
  side: "long",
  quantity: "0.10",
  size: "1000.00",
  entryPrice: "10000.00",
  markPrice: "10000.00",
  leverage: 10,
  margin: "100.00",
  liquidationPrice: "9045.23",
  bankruptcyPrice: "9000.00",
  unrealizedPnL: "0.00",
  unrealizedPnLPercent: "0.00",
  fundingPaid: "0.00",
  takeProfit: null,
  stopLoss: null,
  status: "open",
  openedAt: "2026-01-01T00:00:00.000Z",
  closedAt: null,
};

export const ORDER: Order = {
  id: "BTC-PERP-o1",
  userId: "alice",
  ticker: "BTC-PERP",
  type: "limit",
  side: "long",
  size: "1000.00",
  leverage: 10,
  price: "9800.00",
  reserve: "101.00",
  acceptablePrice: null,
  takeProfit: null,
  stopLoss: null,
  status: "open",
  reason: null,
  positionId: null,
  averagePrice: null,
  placedAt: "2026-01-01T00:00:10.000Z",
  expiresAt: null,
  closedAt: null,
  reduceOnly: false,
  percentage: null,
  quantity: null,
  callback: null,
  extremePrice: null,
};

export const BALANCE: Balance = {
  balance: "899.00",
  held: "0.00",
  available: "899.00",
  total: "899.00",
  margin: "100.00",
  totalDeposited: "1000.00",
  totalWithdrawn: "0.00",
  lifetimePnL: "0.00",
  totalFees: "1.00",
  offset: 5,
};

export const ALICE = {
  userId: "alice",
  balance: BALANCE,
  positions: [POSITION],
  openPositions: 1,
  orders: [],
  offset: 5,
};

export const price = (to: string, offset: number, more: object = {}) => ({
  ticker: "BTC-PERP",
  indexPrice: to,
  markPrice: to,
  quotePrice: to,
  source: "oracle",
  reason: null,
  sequence: null,
  offset,
  at: "2026-01-01T00:00:30.000Z",
  ...more,
});

export const trade = (kind: "open" | "close" | "liquidation", offset: number, more: object = {}) => ({
  id: `${offset}-0`,
  ticker: "BTC-PERP",
  kind,
  side: "long",
  price: "10010.00",
  quantity: "0.25",
  size: "2502.50",
  markPrice: "10000.00",
  quotePrice: "10010.00",
  at: "2026-01-01T00:00:40.000Z",
  offset,
  ...more,
});

type Event = [name: string, data: unknown];

/** A row as the venue writes it: its last event has the id. */
export const wire = (offset: number, ...events: Event[]): string =>
  events
    .map(([name, data], at) => {
      const id = at === events.length - 1 ? `id: 1-${offset}\n` : "";
      return `event: ${name}\ndata: ${JSON.stringify(data)}\n${id}\n`;
    })
    .join("");

export const row = (offset: number, ...events: Event[]) => ({
  id: `1-${offset}`,
  events: events.map(([name, data]) => ({ name, data })),
});

export type Request_ = { method: string; path: string; headers: Headers; body: unknown };

/** Answers by "METHOD path"; a list is answered one after the other, its last for ever. "throw": the line breaks. */
export class FakeVenue {
  readonly asked: Request_[] = [];
  readonly streams: { headers: Headers; write: (text: string) => void; end: () => void }[] = [];
  streamStatus = 200;
  now = 1_000_000;
  private readonly answers = new Map<string, unknown[]>();

  on(what: string, ...answers: unknown[]): this {
    this.answers.set(what, answers);
    return this;
  }

  of(what: string): Request_[] {
    return this.asked.filter(({ method, path }) => `${method} ${path}` === what);
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const request = input instanceof Request ? input : new Request(String(input), init);
    const path = new URL(request.url).pathname;
    if (path === "/api/sse") return this.stream(request, init?.signal ?? request.signal);
    const text = await request.text();
    this.asked.push({ method: request.method, path, headers: request.headers, body: text ? JSON.parse(text) : null });
    const answers = this.answers.get(`${request.method} ${path}`) ?? [];
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer === "throw" || answer === undefined) throw new TypeError("the line broke");
    if (answer instanceof Response) return answer.clone();
    return Response.json(await (answer as Promise<unknown>));
  };

  private stream(request: Request, signal: AbortSignal): Response {
    if (this.streamStatus !== 200) return new Response(null, { status: this.streamStatus });
    const text = new TextEncoder();
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({ start: (made) => void (controller = made) });
    const end = () => {
      try {
        controller.error(new TypeError("the line broke"));
      } catch {
        // It has ended already.
      }
    };
    signal.addEventListener("abort", end);
    const write = (what: string) => controller.enqueue(text.encode(what));
    this.streams.push({ headers: request.headers, write, end });
    write("retry: 1000\n\n");
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }
}

export const refusal = (code: string, status: number, details: object = {}, headers: Record<string, string> = {}) =>
  Response.json({ error: { code, message: `It is ${code}.`, details, requestId: "abc" } }, { status, headers });
