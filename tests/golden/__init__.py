"""Golden journals: sessions of each released schema version, as they were written, to be replayed for ever.

``v<version>/session.jsonl`` holds the rows, one a line; ``v<version>/result.json`` what they led to when they were
written. ``session`` is what was played. Never change a file of a released version: if a test here fails, old journals
would not mean the same any more. A new schema version gets a session of its own, written by ``python -m tests.golden``.

``release_0_1`` holds more: the whole database of a venue of release 0.1.0, and every request to it with its answer.
"""
