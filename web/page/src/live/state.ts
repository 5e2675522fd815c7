/** What a tab knows of the venue: a snapshot, and every row since, each taken once. All of it is pure. */
import Big from "big.js";
import type { Balance, Market, Order, Position, Trade, UserTrade } from "../api/venue";
import { minus, share, sum, trailingPrice } from "./money";
import { type Row, offsetOf } from "./rows";

export const TICKS_MAX = 600;
export const TRADES_MAX = 100;
export const FILLS_MAX = 50;
export const ENDED_MAX = 50;
export const STORIES_MAX = 20;

/** What moved a market's quote: a price from outside, or a trade. */
export type Tick = { readonly offset: number; readonly at: number; readonly quote: number; readonly volume: number };

/** A headline that came with a price. */
export type Story = { readonly offset: number; readonly at: string; readonly text: string; readonly change: number };

export type Told = {
  /** Every tick of rows after `from`, oldest first. */
  readonly ticks: readonly Tick[];
  readonly from: number;
  /** Newest first. */
  readonly trades: readonly Trade[];
  readonly stories: readonly Story[];
};

export type UserState = {
  readonly userId: string;
  readonly balance: Balance;
  /** Open ones by id. */
  readonly positions: ReadonlyMap<string, Position>;
  readonly openPositions: number;
  /** Those that wait, by id. */
  readonly orders: ReadonlyMap<string, Order>;
  /** Orders that waited and ended while the tab looked on, newest first. */
  readonly ended: readonly Order[];
  /** Own trades seen live, newest first. */
  readonly fills: readonly UserTrade[];
};

export type LiveState = {
  readonly markets: ReadonlyMap<string, Market>;
  readonly told: ReadonlyMap<string, Told>;
  readonly user: UserState | null;
  /** The last row taken; 0 before the first. */
  readonly offset: number;
  /** How often everything began anew: whatever was read before may have gaps. */
  readonly resets: number;
  /** A market that was listed while the tab looked on, which only a new snapshot describes. */
  readonly isBehind: boolean;
};

export const NOTHING: LiveState = {
  markets: new Map(),
  told: new Map(),
  user: null,
  offset: 0,
  resets: 0,
  isBehind: false,
};

type Snapshot = { markets?: Market[]; user?: UserNow; offset: number };
type UserNow = { userId: string; balance: Balance; positions: Position[]; openPositions: number; orders: Order[] };
type PriceEvent = Pick<Market, "ticker" | "indexPrice" | "markPrice"> & {
  quotePrice: string;
  source: string;
  reason: string | null;
  offset: number;
  at: string;
};
type HoldEvent = Pick<Market, "ticker" | "heldPrice">;
type ParametersEvent = Partial<Market> & { ticker: string; offset: number; at: string };
type MarketEvent = { ticker: string; status: Market["status"]; reason: string; name?: string };

const EMPTY: Told = { ticks: [], from: 0, trades: [], stories: [] };

/** The state after a row. A row that was taken before changes nothing. */
export function taken(state: LiveState, row: Row): LiveState {
  const offset = offsetOf(row.id);
  const snapshot = row.events.find((event) => event.name === "snapshot");
  if (snapshot !== undefined) return begun(state, snapshot.data as Snapshot, offset);
  if (offset <= state.offset) return state;
  const draft = new Draft(state, offset);
  for (const event of row.events) draft.take(event.name, event.data);
  return draft.done();
}

function begun(state: LiveState, now: Snapshot, offset: number): LiveState {
  const markets = new Map((now.markets ?? []).map((market) => [market.ticker, market]));
  const told = new Map([...markets.keys()].map((ticker) => [ticker, { ...EMPTY, from: offset }]));
  const user = now.user && {
    userId: now.user.userId,
    balance: now.user.balance,
    positions: new Map(now.user.positions.map((position) => [position.id, position])),
    openPositions: now.user.openPositions,
    orders: new Map(now.user.orders.map((order) => [order.id, order])),
    ended: [],
    fills: [],
  };
  return { markets, told, user: user ?? null, offset, resets: state.resets + 1, isBehind: false };
}

/** A state in the making: copies what it changes, once. */
class Draft {
  private markets: Map<string, Market> | null = null;
  private told: Map<string, Told> | null = null;
  private user: UserState | null;
  private isBehind: boolean;

  constructor(
    private readonly before: LiveState,
    private readonly offset: number,
  ) {
    this.user = before.user;
    this.isBehind = before.isBehind;
  }

  take(name: string, data: unknown): void {
    if (name === "price") this.price(data as PriceEvent);
    else if (name === "trade") {
      if ("userId" in (data as object)) this.fill(data as UserTrade);
      else this.trade(data as Trade);
    } else if (name === "market") this.mode(data as MarketEvent);
    else if (name === "hold") this.hold(data as HoldEvent);
    else if (name === "parameters") this.parameters(data as ParametersEvent);
    else if (name === "position") this.position(data as Position);
    else if (name === "order") this.order(data as Order);
    else if (name === "balance" && this.user !== null) this.user = { ...this.user, balance: data as Balance };
  }

  done(): LiveState {
    const { before } = this;
    return {
      ...before,
      markets: this.markets ?? before.markets,
      told: this.told ?? before.told,
      user: this.user,
      offset: this.offset,
      isBehind: this.isBehind,
    };
  }

  private price(event: PriceEvent): void {
    const { indexPrice, markPrice, quotePrice } = event;
    const before = this.market(event.ticker);
    this.quoted(event.ticker, quotePrice, { indexPrice, markPrice, priceAt: event.at, heldPrice: null });
    const told = this.ticked(event.ticker, event.at, quotePrice, 0);
    if (event.source !== "event" || event.reason === null || before === undefined) return;
    const change = Number(quotePrice) / Number(before.currentPrice) - 1;
    const story = { offset: this.offset, at: event.at, text: event.reason, change };
    this.tell(event.ticker, { ...told, stories: [story, ...told.stories].slice(0, STORIES_MAX) });
  }

  private trade(trade: Trade): void {
    const market = this.market(trade.ticker);
    if (market === undefined) return;
    const [other, opens] = [trade.side === "long" ? "short" : "long", trade.kind === "open"] as const;
    const interest = market.openInterest[trade.side];
    const changed = opens ? sum(interest, trade.quantity) : minus(interest, trade.quantity);
    const openInterest = { [trade.side]: changed, [other]: market.openInterest[other] } as Market["openInterest"];
    this.quoted(trade.ticker, trade.quotePrice, {
      markPrice: trade.markPrice,
      openInterest,
      skew: minus(openInterest.long, openInterest.short),
      volume24h: sum(market.volume24h, trade.size),
    });
    const told = this.ticked(trade.ticker, trade.at, trade.quotePrice, Number(trade.size));
    this.tell(trade.ticker, { ...told, trades: [trade, ...told.trades].slice(0, TRADES_MAX) });
  }

  /** A market with a new quote, and what follows from it for the last 24 hours. */
  private quoted(ticker: string, quote: string, more: Partial<Market>): void {
    const market = this.market(ticker);
    if (market === undefined) return;
    const dayAgo = minus(market.currentPrice, market.change24h);
    const change = minus(quote, dayAgo);
    this.set(ticker, {
      ...market,
      ...more,
      currentPrice: quote,
      change24h: change,
      changePercent24h: share(Big(change).times(100).toFixed(), dayAgo, 2),
      high24h: Big(quote).gt(market.high24h) ? quote : market.high24h,
      low24h: Big(quote).lt(market.low24h) ? quote : market.low24h,
    });
    if (more.markPrice !== undefined) this.follow(ticker, more.markPrice, market.tickSize);
  }

  /** Trailing stops go with the mark. No event tells it: it follows from each price. */
  private follow(ticker: string, mark: string, tick: string): void {
    if (this.user === null || this.user.orders.size === 0) return;
    let orders: Map<string, Order> | null = null;
    for (const order of this.user.orders.values()) {
      const { side, callback, extremePrice: best } = order;
      if (order.ticker !== ticker || callback === null || best === null) continue;
      if (side === "long" ? Big(mark).lte(best) : Big(mark).gte(best)) continue;
      orders ??= new Map(this.user.orders);
      orders.set(order.id, { ...order, extremePrice: mark, price: trailingPrice(side, mark, callback, tick) });
    }
    if (orders !== null) this.user = { ...this.user, orders };
  }

  private ticked(ticker: string, at: string, quote: string, volume: number): Told {
    const told = (this.told ?? this.before.told).get(ticker) ?? EMPTY;
    const ticks = [...told.ticks, { offset: this.offset, at: Date.parse(at), quote: Number(quote), volume }];
    const gone = ticks.length > TICKS_MAX ? ticks.splice(0, ticks.length - TICKS_MAX) : [];
    const next = { ...told, ticks, from: gone.at(-1)?.offset ?? told.from };
    this.tell(ticker, next);
    return next;
  }

  private mode(event: MarketEvent): void {
    const market = this.market(event.ticker);
    if (market === undefined) this.isBehind = true;
    else this.set(event.ticker, { ...market, status: event.status });
  }

  private hold({ ticker, heldPrice }: HoldEvent): void {
    const market = this.market(ticker);
    if (market !== undefined) this.set(ticker, { ...market, heldPrice });
  }

  private parameters({ offset: _, at: __, ...changed }: ParametersEvent): void {
    const market = this.market(changed.ticker);
    if (market !== undefined) this.set(changed.ticker, { ...market, ...changed });
  }

  private position(position: Position): void {
    if (this.user === null) return;
    const positions = new Map(this.user.positions);
    const wasOpen = positions.delete(position.id);
    if (position.status === "open") positions.set(position.id, position);
    const more = Number(position.status === "open") - Number(wasOpen);
    this.user = { ...this.user, positions, openPositions: this.user.openPositions + more };
  }

  /** One that filled in the row that placed it has never waited. */
  private order(order: Order): void {
    if (this.user === null) return;
    const orders = new Map(this.user.orders);
    const waited = orders.delete(order.id);
    if (order.closedAt === null) orders.set(order.id, order);
    const isEnd = waited && order.closedAt !== null;
    const ended = isEnd ? [order, ...this.user.ended].slice(0, ENDED_MAX) : this.user.ended;
    this.user = { ...this.user, orders, ended };
  }

  private fill(trade: UserTrade): void {
    if (this.user !== null) this.user = { ...this.user, fills: [trade, ...this.user.fills].slice(0, FILLS_MAX) };
  }

  private market(ticker: string): Market | undefined {
    return (this.markets ?? this.before.markets).get(ticker);
  }

  private set(ticker: string, market: Market): void {
    this.markets ??= new Map(this.before.markets);
    this.markets.set(ticker, market);
  }

  private tell(ticker: string, told: Told): void {
    this.told ??= new Map(this.before.told);
    this.told.set(ticker, told);
  }
}
