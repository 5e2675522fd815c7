"""The venue as a whole: a process of its own, its own PostgreSQL, everything through HTTP, and what kills it.

``venue_process`` and ``api`` run a venue and talk to it. ``market`` plays a real market into it, ``page`` looks at it
in a browser. ``load`` and ``rounds`` are the storm of the kill -9 test.
"""

import pytest

pytest.register_assert_rewrite("tests.endtoend.rounds")
