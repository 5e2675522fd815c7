"""A request goes out until there is a verdict, and what it asks for is done once."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import pytest

from perps.client import BadAnswer, OutcomeUnknown, Refused, Retry, Unavailable, Venue, sending
from perps.wire.trading import Opened
from tests.client.scripted import Scripted, Step, refusal, serving
from tests.tools.fake_venue import sample

OPENED = Step(201, json.dumps(sample("position", "marginPaid")).encode())
MARKET = Step(200, json.dumps(sample("market", "offset")).encode())
PRICED = Step(200, json.dumps({**sample("market", "offset"), "liquidations": 0}).encode())
USER = Step(201, json.dumps({**sample("balance", "available"), "userId": "ann", "referrer": None}).encode())
NOW = {"Retry-After": "0"}
UNKNOWN = refusal(503, "outcome_unknown", **NOW)
OVERLOADED = refusal(503, "overloaded", **NOW)
CUTS = {
    "amid the request": Step(amid_request=True),
    "instead of an answer": Step(sent=0.0),
    "amid the status line": Step(sent=0.05),
    "amid the head": Step(201, OPENED.body, sent=0.02),
    "amid the answer": Step(201, OPENED.body, sent=0.5),
    "before the last byte": Step(201, OPENED.body, sent=0.9999),
}


def client(server: Scripted, *, retry_s: float = 10.0, timeout_s: float = 5.0) -> Venue:
    return Venue(server.url, "key", retry_s=retry_s, timeout_s=timeout_s)


async def an_open(venue: Venue, order_id: str | None = None) -> str:
    opened = await venue.open("BTC-PERP", "long", size=1000, leverage=10, client_order_id=order_id)
    assert isinstance(opened, Opened)
    return opened.position.id


@pytest.mark.parametrize("where", CUTS)
async def test_a_command_whose_line_was_cut_goes_out_again_with_the_same_id(where: str) -> None:
    async with serving(CUTS[where], OPENED) as server, client(server) as venue:
        assert await an_open(venue) == "BTC-PERP-1"
    first, second = server.asked
    assert second.json["clientOrderId"]
    assert first.body in (b"", second.body)


async def test_two_commands_have_two_ids_unless_they_are_given_one() -> None:
    async with serving(OPENED) as server, client(server) as venue:
        for order_id in (None, None, "mine"):
            await an_open(venue, order_id)
    ids = [asked.json["clientOrderId"] for asked in server.asked]
    assert len(set(ids)) == 3
    assert ids[2] == "mine"


async def test_a_storm_of_503_is_weathered() -> None:
    codes = [UNKNOWN, OVERLOADED, refusal(503, "unavailable", **NOW), refusal(429, "rate_limited", **NOW)]
    async with serving(*(codes * 5), Step(502, b"<h1>Bad gateway</h1>"), OPENED) as server, client(server) as venue:
        assert await an_open(venue) == "BTC-PERP-1"
    assert len(server.asked) == 22
    assert len({asked.body for asked in server.asked}) == 1


async def test_when_time_is_up_the_error_says_that_the_outcome_is_unknown_and_names_the_id() -> None:
    async with serving(UNKNOWN) as server, client(server, retry_s=0.2) as venue:
        with pytest.raises(OutcomeUnknown) as caught:
            await an_open(venue, "first")
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.client_order_id == "first"
    assert str(caught.value) == (
        "outcome_unknown: No. (required 2.00). The outcome is unknown: "
        "send it again with the client order id 'first', and it is done once"
    )
    assert len(server.asked) > 1


async def test_an_early_doubt_is_not_forgotten_when_later_tries_were_not_begun() -> None:
    async with serving(UNKNOWN, OVERLOADED) as server, client(server, retry_s=0.2) as venue:
        with pytest.raises(OutcomeUnknown):
            await an_open(venue)


async def test_a_command_that_was_never_begun_had_no_effect_when_time_is_up() -> None:
    async with serving(OVERLOADED) as server, client(server, retry_s=0.2) as venue:
        with pytest.raises(Unavailable, match="overloaded: No") as caught:
            await an_open(venue, "first")
    assert (caught.value.code, caught.value.client_order_id) == ("overloaded", "first")


async def test_an_answer_that_is_too_slow_is_asked_for_again() -> None:
    async with serving(Step(sent=0.0, hangs=True), OPENED) as server, client(server, timeout_s=0.2) as venue:
        assert await an_open(venue) == "BTC-PERP-1"
    assert len(server.asked) == 2


async def test_answers_that_stay_too_slow_are_an_unknown_outcome() -> None:
    async with serving(Step(sent=0.5, hangs=True)) as server, client(server, retry_s=0, timeout_s=0.2) as venue:
        with pytest.raises(OutcomeUnknown, match=r"did not answer within 0.2 s. The outcome is unknown"):
            await an_open(venue)


async def test_what_the_venue_asks_for_in_retry_after_is_waited_for() -> None:
    told: list[Retry] = []
    async with serving(refusal(503, "overloaded", **{"Retry-After": "0.3"}), OPENED) as server:
        begun = time.monotonic()
        async with Venue(server.url, on_retry=told.append) as venue:
            await an_open(venue)
    assert time.monotonic() - begun >= 0.3
    ((tries, pause_s, why),) = [(retry.tries, retry.pause_s, retry.why) for retry in told]
    assert (tries, why) == (1, "overloaded: No. (required 2.00)")
    assert 0.3 <= pause_s <= 0.4


async def test_a_pause_beyond_the_deadline_is_not_begun() -> None:
    async with serving(refusal(503, "overloaded", **{"Retry-After": "60"})) as server, client(server) as venue:
        with pytest.raises(Unavailable):
            await an_open(venue)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "validation_error"),
        (401, "unauthorized"),
        (404, "market_not_found"),
        (409, "position_closed"),
        (422, "insufficient_funds"),
        (500, "internal_error"),
        (418, "new_in_a_later_version"),
    ],
)
async def test_a_verdict_is_final(status: int, code: str) -> None:
    async with serving(refusal(status, code)) as server, client(server) as venue:
        with pytest.raises(Refused) as caught:
            await an_open(venue, "first")
    error = caught.value
    assert (error.code, error.message, error.details, error.status) == (code, "No.", {"required": "2.00"}, status)
    assert (error.is_repeated, error.client_order_id) == (False, "first")
    assert str(error) == f"{code}: No. (required 2.00)"
    assert len(server.asked) == 1


async def test_a_get_is_asked_again_too_and_has_no_outcome_to_doubt() -> None:
    async with serving(Step(sent=0.5), UNKNOWN, MARKET) as server, client(server) as venue:
        assert (await venue.get_market("BTC-PERP")).market.ticker == "BTC-PERP"
    async with serving(UNKNOWN) as server, client(server, retry_s=0) as venue:
        with pytest.raises(Unavailable):
            await venue.get_market("BTC-PERP")


@pytest.mark.parametrize("doubt", [UNKNOWN, Step(sent=0.5), refusal(502, "bad_gateway"), Step(504, b"")])
async def test_a_command_without_an_id_is_not_sent_again_in_doubt(doubt: Step) -> None:
    async with serving(doubt, USER) as server, client(server) as venue:
        with pytest.raises(OutcomeUnknown, match="look whether it was done before you send it again"):
            await venue.create_user("ann")
    assert len(server.asked) == 1


async def test_a_command_without_an_id_is_sent_again_when_nothing_was_done() -> None:
    async with serving(OVERLOADED, refusal(429, "rate_limited", **NOW), USER) as server, client(server) as venue:
        await venue.create_user("ann", 5)
    assert [asked.json for asked in server.asked] == [{"userId": "ann", "deposit": 5}] * 3


async def test_a_refusal_says_whether_an_earlier_try_may_have_been_taken() -> None:
    async with serving(UNKNOWN, refusal(409, "price_stale")) as server, client(server) as venue:
        with pytest.raises(Refused) as caught:
            await venue.set_price("BTC-PERP", 1, sequence=5)
    assert caught.value.is_repeated
    async with serving(UNKNOWN, PRICED) as server, client(server) as venue:
        with pytest.raises(OutcomeUnknown):
            await venue.set_price("BTC-PERP", 1)


async def test_nobody_there_is_told_in_one_line(unused_tcp_port: int) -> None:
    async with Venue(f"http://me:secret@127.0.0.1:{unused_tcp_port}", retry_s=0) as venue:
        with pytest.raises(Unavailable) as caught:
            await an_open(venue)
    assert str(caught.value) == f"http://me:…@127.0.0.1:{unused_tcp_port} cannot be reached: Connection refused"
    assert not caught.value.is_connected


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"", b'{"position": {', b'{"offset":"\xff'])
async def test_an_answer_that_is_no_json_is_quoted_and_final(body: bytes) -> None:
    async with serving(Step(201, body)) as server, client(server) as venue:
        with pytest.raises(BadAnswer, match="That is not an answer of a perps venue: check the address") as caught:
            await an_open(venue, "first")
    assert caught.value.client_order_id == "first"
    assert len(server.asked) == 1


async def test_json_of_another_kind_names_what_is_missing() -> None:
    async with serving(Step(201, b'{"offset": 3}')) as server, client(server) as venue:
        with pytest.raises(BadAnswer, match="does not know: Object missing required field `position`"):
            await an_open(venue)


async def test_no_more_than_so_many_bytes_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "ANSWER_BYTES_MAX", 1_000)
    async with serving(Step(200, b" " * 2_000)) as server, client(server) as venue:
        with pytest.raises(BadAnswer, match="answered with more than 1000 bytes"):
            await venue.get_market("BTC-PERP")


async def test_no_redirect_is_followed_and_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(MARKET) as elsewhere, serving(Step(307, headers={"Location": elsewhere.url})) as server:
        monkeypatch.setenv("http_proxy", elsewhere.url)
        async with client(server) as venue:
            with pytest.raises(BadAnswer, match="Redirects are not followed"):
                await venue.get_market("BTC-PERP")
        assert elsewhere.asked == []


async def test_a_number_goes_out_exactly() -> None:
    async with serving(PRICED) as server, client(server) as venue:
        for price in (Decimal("1E+2"), Decimal("0.10"), "1e-7", 7):
            await venue.set_price("BTC-PERP", price)
    assert [asked.json for asked in server.asked] == [{"price": price} for price in ("100", "0.10", "1e-7", 7)]


async def test_a_float_is_refused_before_anything_is_sent() -> None:
    async with serving(OPENED) as server, client(server) as venue:
        with pytest.raises(TypeError, match=r"size: 0\.1 is a float, which is not exact\. Give an int, a str or a Dec"):
            await venue.open("BTC-PERP", "long", size=0.1, leverage=10)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"items\.price: 0\.1 is a float"):
            await venue.set_prices([{"ticker": "BTC-PERP", "price": 0.1}])
        with pytest.raises(ValueError, match="size: NaN is not a finite number"):
            await venue.open("BTC-PERP", "long", size=Decimal("NaN"), leverage=10)
    assert server.asked == []


async def test_a_name_that_an_operation_does_not_have_is_told_at_once() -> None:
    async with serving(OPENED) as server, client(server) as venue:
        with pytest.raises(TypeError, match="listMarket takes no max_levrage"):
            await venue.list_market("A", "a", "A", 1, max_levrage=5)
    assert server.asked == []


def test_a_rule_is_told_once() -> None:
    rule = "takerFee ≤ liquidationFee"
    details = {"rule": rule, "takerFee": "0.002", "liquidationFee": "0.001"}
    error = Refused("parameters_inconsistent", f"Rule broken: {rule}.", details, 422)
    assert str(error) == f"parameters_inconsistent: Rule broken: {rule}. (takerFee 0.002, liquidationFee 0.001)"
