"""Months of a real market, played into a venue and recomputed: ``traders`` and ``play`` send, ``audit`` recomputes."""

import pytest

pytest.register_assert_rewrite(
    "tests.endtoend.market.audit", "tests.endtoend.market.traders", "tests.endtoend.market.play"
)
