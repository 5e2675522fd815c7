import { describe, expect, it } from "vitest";
import type { ErrorCode } from "../src/api/venue";
import { Refused } from "../src/api/venue";
import * as say from "../src/words/numbers";
import { affordable, ofOpen } from "../src/words/refusals";
import { MARKET } from "./fake";

const refused = (code: ErrorCode, details: Record<string, unknown> = {}) =>
  new Refused(code, "Said.", details, "id", null);
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
    ["open_interest_exceeded", "size", "The long side has room for 19,990,000 more."],
    ["max_skew_exceeded", "size", "The long side has room for 9,995,000 more."],
    ["would_be_liquidated", "leverage", "At 10× this would be liquidated at once."],
    ["price_beyond_limit", "slippage", "The price moved further than you accept. Nothing was spent."],
    ["market_halted", null, "Halted. Nothing trades and nobody is liquidated."],
    ["internal_error", null, "Said."],
  ] as const)("say %s beside %s", (code, field, text) => expect(words(code)).toMatchObject({ field, text }));
});
