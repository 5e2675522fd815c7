/** The venue's operations, in the types of its own contract; and the two ways in which a request can fail. */
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./contract";

type Schemas = components["schemas"];
export type Market = Schemas["Market"];
export type Position = Schemas["Position"];
export type Balance = Schemas["Balance"];
export type Trade = Schemas["Trade"];
export type UserTrade = Schemas["UserTrade"];
export type Transaction = Schemas["Transaction"];
export type OpenBody = Schemas["OpenBody"];
export type CloseBody = Schemas["CloseBody"];
export type Opened = Schemas["Opened"];
export type Closed = Schemas["Closed"];
export type Pending = Schemas["Pending"];
export type Quoted = Schemas["Quoted"];
export type EquityPoint = Schemas["EquityPoint"];
export type Leaderboard = Schemas["Leaderboard"];
export type Stats = Schemas["Stats"];
export type MarketStats = Schemas["MarketStats"];
export type User = Schemas["User"];
export type MarketBody = Schemas["MarketBody"];
export type ChangesBody = Schemas["ChangesBody"];
export type Ready = Schemas["Ready"];
export type TriggersBody = Schemas["TriggersBody"];
export type TriggersSet = Schemas["TriggersSet"];
export type MarginChanged = Schemas["MarginChanged"];
export type Order = Schemas["Order"];
export type OrderBody = Schemas["OrderBody"];
export type ReplaceBody = Schemas["ReplaceBody"];
export type PriceTaken = Schemas["PriceTaken"];
export type OrderQuoted = Schemas["OrderQuoted"];
export type Placed = Schemas["Placed"];
export type ClosedAll = Schemas["ClosedAll"];
export type ErrorCode = Schemas["ErrorCode"];
export type Side = OpenBody["side"];
export type Interval = "1m" | "5m" | "15m" | "1h" | "4h" | "1d";

/** The venue's verdict on a request: no. */
export class Refused extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: Readonly<Record<string, unknown>>,
    readonly requestId: string,
    /** Seconds after which the venue asks to be asked again, of what is no verdict. */
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

/** Nobody knows what came of a request: the line broke, or what answered is no venue. */
export class NoAnswer extends Error {}

const NO_VERDICT: ReadonlySet<string> = new Set(["rate_limited", "overloaded", "unavailable", "outcome_unknown"]);

/** Whether to send the same again, with the same client order id. */
export function isNoVerdict(error: unknown): boolean {
  return error instanceof NoAnswer || (error instanceof Refused && NO_VERDICT.has(error.code));
}

export type Venue = Client<paths>;

/** A client of the venue at `base`, in the name of whatever key there is when a request is sent. */
export function venueAt(base: string, key: () => string | null, fetcher?: typeof fetch): Venue {
  const client = createClient<paths>({ baseUrl: base.replace(/\/$/, ""), ...(fetcher && { fetch: fetcher }) });
  client.use({
    onRequest({ request }) {
      const now = key();
      if (now !== null && !request.headers.has("Authorization")) request.headers.set("Authorization", `Bearer ${now}`);
      return request;
    },
  });
  return client;
}

type Answered<T> = { data?: T; error?: unknown; response: Response };

/** The body of a success. Throws `Refused` or `NoAnswer`. */
export async function body<T>(asked: Promise<Answered<T>>): Promise<T> {
  let answered: Answered<T>;
  try {
    answered = await asked;
  } catch (error) {
    throw new NoAnswer(error instanceof Error ? error.message : String(error));
  }
  const { data, error, response } = answered;
  if (response.ok && data !== undefined) return data;
  const said = (error as { error?: Schemas["ErrorDetail"] } | undefined)?.error;
  if (said === undefined) throw new NoAnswer(`status ${response.status}`);
  const after = response.headers.get("Retry-After");
  throw new Refused(said.code, said.message, said.details, said.requestId, after === null ? null : Number(after));
}

/** An id of its own for a command, so that it can be sent again and is done once. */
export function newOrderId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
