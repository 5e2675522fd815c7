// A bot that opens and closes, with the types that openapi-typescript makes of the contract. It is compiled, not run.
import createClient from "openapi-fetch";
import type { components, paths } from "./venue.js";

const venue = createClient<paths>({ baseUrl: "http://127.0.0.1:8000", headers: { Authorization: "Bearer key" } });

type Position = components["schemas"]["Position"];
type ErrorCode = components["schemas"]["ErrorCode"];

// Only what has no default must be given; a number may be text.
const opened = await venue.POST("/api/markets/perps/open", {
  body: { ticker: "BTC-PERP", side: "long", size: "1000", leverage: 10 },
});
if (opened.error) {
  const code: ErrorCode = opened.error.error.code;
  throw new Error(`${code}: ${opened.error.error.message}`);
}
// Where orders wait for the next price, the answer is the order.
if (!("position" in opened.data)) throw new Error(`order ${opened.data.order.id} waits for the next price`);
const position: Position = opened.data.position;
const liquidation: string | null = position.liquidationPrice;

// A close needs no body; a profit is there only once something has been closed.
const closed = await venue.POST("/api/markets/perps/{positionId}/close", {
  params: { path: { positionId: position.id } },
});
const profit = closed.data && "position" in closed.data ? closed.data.position.realizedPnL : undefined;
const text: string | undefined = profit;

const candles = await venue.GET("/api/markets/perps/{ticker}/candles", {
  params: { path: { ticker: "BTC-PERP" }, query: { interval: "1m", limit: 10 } },
});
type Candle = components["schemas"]["Candles"]["candles"][number];
const openTime = ([openMs, open]: Candle): [number, string] => [openMs, open];

await venue.POST("/api/markets/perps/{ticker}/price", {
  params: { path: { ticker: "BTC-PERP" } },
  body: { price: 10500.5 },
});
await venue.POST("/api/admin/markets", {
  body: { ticker: "ETH-PERP", organizationId: "eth", name: "Ether", price: "3000", maxSkew: null },
});

// What the contract does not have does not compile.
// @ts-expect-error: there is no such side
await venue.POST("/api/markets/perps/open", { body: { ticker: "A", side: "up", size: "1", leverage: 1 } });
// @ts-expect-error: the size is missing
await venue.POST("/api/markets/perps/open", { body: { ticker: "A", side: "long", leverage: 1 } });
// @ts-expect-error: there is no such path
await venue.GET("/api/nothing");
// @ts-expect-error: money is text, which no calculation takes by mistake
const wrong: number = position.margin;

console.log(liquidation, text, candles.data?.closed, openTime, wrong);
