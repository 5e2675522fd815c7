"""What is thrown at a running venue, and what must hold while it lasts and after.

``siege`` keeps trading through a fault, ``reader`` keeps reading through it; ``proxy`` stands between a venue and its
database; ``serve`` is the real venue with faults in its stores, armed by the environment. The storm, its record and
the checks are those of ``tests.endtoend``. ``docs/faults.md`` lists every fault with its test.
"""

import pytest

pytest.register_assert_rewrite("tests.faults.siege", "tests.faults.reader")
