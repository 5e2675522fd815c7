"""What the contract is made of: bodies, queries and answers as structs, and numbers that nobody rounds.

Every field is camelCase outside. Numbers leave as decimal text (``Money``, ``Price``, ``Quantity``, ``Rate``). They
come in as ``Number``, from a string or a number literal, exactly as written.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

LITERAL: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
"""A number as JSON writes it; the same between quotes."""

TAKES: Final = "takes"
"""In a type's ``extra``: what it takes, in words, for a message. ``ALLOWED``: the values there are, in their order."""

ALLOWED: Final = "allowed"

NO_NUMBER: Final = 'must be a decimal number, such as 12.5 or "12.5"'

NO_FLOAT: Final = 'must be text, such as "12.5", or a whole number: a float of MessagePack is not exact'


def outside(name: str) -> str:
    """``entry_price`` as the contract has it: ``entryPrice``. ``pnl`` is ``PnL``."""
    head, *rest = name.split("_")
    return head + "".join("PnL" if word == "pnl" else word.capitalize() for word in rest)


class Body(Struct, forbid_unknown_fields=True, rename=outside, kw_only=True):
    """A JSON body of a request. An unknown field is an error."""


class Query(Struct, rename=outside, kw_only=True):
    """The parameters after a path's ``?``. Unknown names are ignored."""


class Answer(Struct, rename=outside, kw_only=True, gc=False):
    """A JSON body of an answer, or a part of one."""


class Number(Decimal):
    """A number that comes in, exactly as its text has it. Never a float."""


class Limit(Number):
    """As ``Number``, and there may be none: then it is infinite. ``"none"`` in JSON."""


def by_default(text: str) -> Any:
    """The default of a field that is a ``Number``: msgspec's schemas know no default of a type of one's own."""
    return msgspec.field(default_factory=partial(Number, text))


def no_limit() -> Any:
    """As ``by_default``, of a ``Limit``: none."""
    return msgspec.field(default_factory=lambda: NO_LIMIT)


NO_LIMIT: Final = Limit("Infinity")

END: Final = r"(?![\s\S])"
"""The end of a text, in a pattern. ``$`` means that in JSON Schema; in Python it may stand before a line's end, too."""


def _text(pattern: str, description: str, examples: list[str], **schema: str) -> Meta:
    """Text that goes out. Its pattern is in the schema, and is not checked again by whoever reads an answer: that made
    up three quarters of the time to read a market.
    """
    return Meta(description=description, examples=examples, extra_json_schema={"pattern": pattern, **schema})


Money = Annotated[
    str,
    _text(r"^-?\d+\.\d{2,6}$", "US dollars, exact, with 2 to 6 decimals.", ["1048.401549"]),
]
Price = Annotated[
    str,
    _text(r"^-?\d+\.\d{2,}$", "US dollars for one base unit.", ["10000.00"]),
]
Quantity = Annotated[str, _text(r"^-?\d+\.\d{2,}$", "Base units, a multiple of the lot size.", ["0.0999"])]
Step = Annotated[str, _text(r"^\d+(\.\d+)?$", "The smallest step.", ["0.0001"])]
Rate = Annotated[str, _text(r"^-?\d+(\.\d+)?$", "A share: 0.001 is 0.1 %.", ["0.001"])]
Percent = Annotated[str, _text(r"^-?\d+\.\d{2,}$", "Per cent: 4.00 is 4 %.", ["4.00"])]
Time = Annotated[
    str,
    _text(
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$",
        "RFC 3339 in UTC, with milliseconds.",
        ["2026-11-22T17:34:58.422Z"],
        format="date-time",
    ),
]
Offset = Annotated[int, Meta(ge=0, description="The journal row that the answer is based on.", examples=[4])]
Cursor = Annotated[
    str, Meta(description="Where the next page begins. Send it as `cursor`. Null on the last page.", examples=["8-0"])
]

UserId = Annotated[
    str,
    Meta(
        pattern=r"^(?!\.{1,2}$)[A-Za-z0-9._:@-]{1,64}" + END,
        description="A user. 1 to 64 letters, digits and `._:@-`; not `.` and not `..`, which no path can name.",
        extra={TAKES: "text of 1 to 64 letters, digits and . _ : @ -, and not . or .."},
        examples=["ann"],
    ),
]
Ticker = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z0-9][A-Z0-9._-]{0,31}" + END,
        description="A market.",
        examples=["BTC-PERP"],
        extra={TAKES: "text of 1 to 32 capital letters, digits and . _ -, such as BTC-PERP"},
    ),
]
OrderId = Annotated[str, Meta(description="An order: its ticker, `-o` and its number.", examples=["BTC-PERP-o1"])]
PositionId = Annotated[str, Meta(description="A position: its ticker and its number.", examples=["BTC-PERP-1"])]
KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
KeyId = Annotated[
    str,
    Meta(pattern=f"^{KEY_ID.pattern}{END}", description="An API key's name.", examples=["key_8f3590b32e7133e6"]),
]
ClientOrderId = Annotated[
    str,
    Meta(
        pattern=r"^[\x21-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?" + END,
        description="Makes the command safe to repeat: the same id and body get the same answer. "
        "1 to 64 printable ASCII characters, no space at an end.",
        extra={TAKES: "text of 1 to 64 printable ASCII characters, no space at an end"},
        examples=["first"],
    ),
]
Text = Annotated[str, Meta(max_length=256, description="At most 256 characters, all printable.")]


def _read(kind: type[Any], given: object) -> object:
    """``dec_hook``: a ``Number`` from what JSON had. Raises ``ValueError``."""
    if not issubclass(kind, Number):
        raise NotImplementedError(kind)
    if type(given) is str:
        if given == "none" and kind is Limit:
            return NO_LIMIT
        if not LITERAL.fullmatch(given):
            raise ValueError(NO_NUMBER)
    elif type(given) is float:
        raise ValueError(NO_FLOAT)
    elif type(given) is not int and type(given) is not Decimal:
        raise ValueError(NO_NUMBER)
    try:
        return kind(given)
    except InvalidOperation:
        raise ValueError("has too large an exponent") from None


def _literal(text: str) -> Decimal:
    """``float_hook``: a number literal that is not whole, exactly. Raises ``ValueError``."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("has too large an exponent") from None


def _written(value: object) -> str:
    """``enc_hook``: a ``Number`` as text."""
    if isinstance(value, Number):
        return f"{value:f}" if value.is_finite() else "none"
    raise NotImplementedError(type(value))


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """What reads JSON as ``kind``: a struct of the contract or a list of them. Raises ``msgspec.DecodeError``."""
    return msgspec.json.Decoder(kind, dec_hook=_read, float_hook=_literal)


def converted(value: object, kind: Any) -> Any:
    """A value as another reader than JSON's made it (``Decimal`` for what is not whole), as ``kind``.

    Raises ``msgspec.ValidationError``.
    """
    return msgspec.convert(value, kind, dec_hook=_read)


def unpacker(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """As ``decoder``, of MessagePack. A float is no number here: what was meant is not known any more."""
    return msgspec.msgpack.Decoder(kind, dec_hook=_read)


encode: Final = msgspec.json.Encoder(enc_hook=_written).encode
"""A struct of the contract as JSON."""

pack: Final = msgspec.msgpack.Encoder(enc_hook=_written).encode
"""The same as MessagePack."""
