"""Numbers in price files: thousands in groups, a decimal comma, a currency sign, and the many spellings of nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

DECIMALS_MAX: Final = 30
"""More decimals than this are the noise of a binary float that was written out."""

PRICE_BELOW: Final = 1e18
"""A price from here on is no market's."""

NOTHING: Final = frozenset(
    ("", "nan", "null", "none", "na", "n/a", "#n/a", "-", "--", ".", "nil", "\\n", "<na>", "nat", "#value!", "#n/a n/a")
)
"""How files say that there is no value, in small letters."""

_PLAIN = re.compile(r"\d{1,18}(\.\d*)?([eE][+-]?\d{1,2})?|\.\d+")
_LARGE = re.compile(r"\d{19,}(\.\d*)?")
_GROUPED = re.compile(r"\d{1,3}([,.' ])\d{3}(\1\d{3})*([,.]\d*)?")
_AROUND: Final = "$€£¥₿ \t\u00a0\u202f"


def is_nothing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.strip().lower() in NOTHING


def is_number(text: str) -> bool:
    """Whether a cell is a number in any of the spellings, or says that there is none."""
    text = text.strip(_AROUND)
    return bool(
        _PLAIN.fullmatch(text.lstrip("+-"))
        or _GROUPED.fullmatch(text.lstrip("+-"))
        or re.fullmatch(r"[+-]?\d+,\d+", text)
        or text.lower() in ("nan", "inf", "infinity", "-inf")
    )


def has_decimal_comma(cells: Iterable[str], *, commas_separate: bool) -> bool:
    """Whether a comma begins the decimals in these cells. Errors: ValueError if nothing decides.

    ``commas_separate``: commas separate the columns, so in a quoted cell they group thousands unless a cell shows
    otherwise.
    """
    undecided = None
    for cell in cells:
        text = cell.strip(_AROUND).lstrip("+-")
        comma, point = text.rfind(","), text.rfind(".")
        if comma < 0 and text.count(".") > 1:
            return True
        if comma < 0:
            continue
        if point >= 0:
            return comma > point
        if text.count(",") > 1:
            return False
        if re.fullmatch(r"\d{1,3},\d{3}", text) is None or text.startswith("0"):
            return True
        undecided = text
    if undecided is not None and not commas_separate:
        raise ValueError(f"the comma of {undecided!r} may begin decimals or group thousands; say --decimal , or .")
    return False


def plain(text: str, *, decimal_comma: bool) -> str:
    """A number's plain decimal text. Errors: ValueError, whose text continues "…, column close: "."""
    bare = text.strip(_AROUND).lstrip("+").replace("\u00a0", "").replace("\u202f", "")
    if decimal_comma:
        if re.fullmatch(r"\d{1,3}(\.\d{3})+", bare):
            bare = bare.replace(".", "")
        elif "," in bare:
            bare = bare.replace(".", "").replace(",", ".")
    elif _GROUPED.fullmatch(bare) and not re.fullmatch(r"\d+\.\d*", bare):
        bare = bare.replace(",", "")
    bare = bare.replace(" ", "").replace("'", "")
    is_plain = _PLAIN.fullmatch(bare) is not None
    if _LARGE.fullmatch(bare) or (is_plain and float(bare) >= PRICE_BELOW):
        raise ValueError(f"a price must be below 10^18; it is {text!r}")
    if not is_plain or not any(digit in "123456789" for digit in re.split("[eE]", bare)[0]):
        raise ValueError(f"a price must be a number above 0, such as 12.5; it is {text!r}")
    _, _, decimals = bare.partition(".")
    if len(decimals) > DECIMALS_MAX:
        raise ValueError(f"{text!r} has {len(decimals)} decimals, at most {DECIMALS_MAX} fit: round the prices")
    return bare
