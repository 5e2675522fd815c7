import { describe, expect, it } from "vitest";
import type { ErrorCode } from "../src/api/venue";
import { Refused } from "../src/api/venue";
import * as say from "../src/words/numbers";
import { affordable, ofExits, ofMargin, ofOpen, plainly } from "../src/words/refusals";
import { MARKET } from "./fake";

const refused = (code: ErrorCode, details: Record<string, unknown> = {}) =>
  new Refused(code, "Said.", details, "id", null);
const REACH = "Trading may move the price 0.1 % from the index, no further.";
const words = (code: ErrorCode, details = {}) => ofOpen(refused(code, details), MARKET, "long", 10);

describe("numbers", () => {
  it("are exact, with a true minus and always as many decimals", () => {
    expect(say.money("9007199254740993.005")).toBe("9,007,199,254,740,993.01");
    expect([say.money("-3.2"), say.money("0"), say.money("5", { isSigned: true })]).toEqual(["−3.20", "0.00", "+5.00"]);
    expect(say.money("-0.001")).toBe("0.00");
    expect(say.price("0.00001", "0.00001")).toBe("0.00001");
  });

  it("never show more money than there is", () => expect(say.spendable("3.209999")).toBe("3.20"));

  it.each([
    ["999", "999"],
    ["9999.4", "9,999"],
    ["12340", "12.34 k"],
    ["239000", "239.0 k"],
    ["1840000", "1.84 M"],
    ["4000000000", "4.00 bn"],
  ])("%s is %s in short", (value, short) => expect(say.compact(value)).toBe(short));

  it("say how long something takes", () => {
    expect([say.span(5), say.span(65), say.span(3_905)]).toEqual(["00:05", "01:05", "1:05:05"]);
  });
});

describe("refusals of an open", () => {
  it("say what there is, and offer what would do", () => {
    const found = words("insufficient_funds", { required: "101.00", available: "50.509999" });
    expect(found).toMatchObject({ field: "size", button: "Not enough available", use: { size: "500" } });
    expect(found.text).toBe("That needs 101.00. You have 50.50.");
  });

  it("never offer more than the wallet carries, its fee paid", () => {
    for (const available of ["0.5", "1", "99.999999", "1000", "123456.789"])
      for (const leverage of [1, 3, 20, 100]) {
        const size = Number(affordable(available, leverage, "0.001"));
        expect(size / leverage + size * 0.001).toBeLessThanOrEqual(Number(available));
      }
  });

  it.each([
    ["leverage_too_high", "leverage", "This market goes up to 100×."],
    ["position_size_too_small", "size", "The least here is 10.00."],
    ["open_interest_exceeded", "size", `The long side has room for 19,990,000 more. ${REACH}`],
    ["max_skew_exceeded", "size", `The long side has room for 9,995,000 more. ${REACH}`],
    ["would_be_liquidated", "leverage", "At 10× this would be liquidated at once."],
    ["price_beyond_limit", "slippage", "The price moved further than you accept. Nothing was spent."],
    ["market_halted", null, "Halted. Nothing trades and nobody is liquidated."],
    ["internal_error", null, "Said."],
  ] as const)("say %s beside %s", (code, field, text) => expect(words(code)).toMatchObject({ field, text }));
});

describe("refusals of an open by limits", () => {
  it("offer the largest size that the venue names", () => {
    expect(words("max_skew_exceeded", { largestSize: "54600.90" })).toMatchObject({ use: { size: "54600" } });
    expect(words("open_interest_exceeded", { largestSize: "0.00" }).text).toBe("The long side of this market is full.");
  });

  it("say what one person may hold", () => {
    const market = { ...MARKET, maxPositionsPerUser: 2, maxNotionalPerUser: "5000.00" };
    const said = (details: object) => ofOpen(refused("user_limit_exceeded", { ...details }), market, "long", 10);
    expect(said({ positions: 3, maxPositionsPerUser: 2 }).text).toMatch(/^One person may have 2 positions here/);
    expect(said({ notional: "6000.00", maxNotionalPerUser: "5000.00" })).toMatchObject({
      field: "size",
      text: "One person may hold 5,000.00 here, all positions together.",
    });
  });
});

describe("refusals of exits and margin", () => {
  it("say which price has been reached already, beside its field", () => {
    const stop = refused("order_would_trigger", { stopLoss: "10100.00", markPrice: "10000.00" });
    expect(ofExits(stop, MARKET)).toMatchObject({
      field: "stopLoss",
      text: "The price is at 10,000.00 already: this stop at 10,100.00 would close at once.",
    });
    const profit = refused("order_would_trigger", { takeProfit: "9900.00", markPrice: "10000.00" });
    expect(ofOpen(profit, MARKET, "long", 10)).toMatchObject({ field: "takeProfit" });
  });

  it("mark the field that breaks a rule", () => {
    const field = (name: string) => words("validation_error", { field: name }).field;
    expect(["takeProfit", "stopLoss", "leverage", "ticker"].map(field)).toEqual([
      "takeProfit",
      "stopLoss",
      "leverage",
      "size",
    ]);
  });

  it("offer the margin that can come out, never more", () => {
    const found = ofMargin(refused("insufficient_margin", { required: "50.00", available: "12.349999" }), MARKET);
    expect(found).toMatchObject({ field: "amount", use: { amount: "12.34" } });
    expect(found.text).toBe("The position needs its margin: 12.34 can come out now.");
    const none = ofMargin(refused("insufficient_margin", { available: "0.00" }), MARKET);
    expect(none.use).toBeUndefined();
  });

  it("say which price waits to be confirmed", () => {
    const heldPrice = { price: "12000.00", source: "oracle", count: 1, until: "" } as const;
    const said = ofOpen(refused("price_unconfirmed"), { ...MARKET, heldPrice }, "long", 10).text;
    expect(said).toMatch(/^The price 12,000.00 waits to be confirmed, said 1 of 3 times\./);
    expect(plainly(refused("house_cannot_pay"))).toMatch(/^The market's house cannot pay/);
  });
});
