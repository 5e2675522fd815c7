"""The contract with the outside, as types: what may be asked of a venue, and what it answers. No I/O, no domain logic.

Server, client, documents and tests use the same classes. Reading order: ``base`` (numbers, ids, bodies and answers),
``lists`` (pages), ``errors`` (every code), ``operation`` (what can be said of one route), then one file a subject
with its types and its operations: ``trading``, ``markets``, ``history``, ``prices``, ``users``, ``keys``, ``streams``,
``venue``. ``operations`` is the table of them all, ``examples`` has one of each, and ``openapi`` makes the document of
all this that programs read.
"""
