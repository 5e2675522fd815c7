"""The contract with the outside, as types: what may be asked of a venue, and what it answers. No I/O, no domain logic.

Server, client, documents and tests use the same classes. Reading order: ``base`` (numbers, ids, bodies and answers),
``lists`` (pages), ``errors`` (every code), ``operation`` (what can be said of one route), then one file a subject
with its types and its operations: ``trading`` with ``margin``, ``triggers``, ``close_all`` and ``net``; ``orders``
(what one is, and placing, reading and cancelling them); ``markets`` with ``listing`` and ``flows``; ``prices``,
``history``, ``users``, ``results``, ``keys``, ``streams``, ``venue``, ``page`` (of a browser), ``agents`` (the
channel). ``contract`` is all of them together: the table of operations, what each costs, examples, and the document
that programs read.
"""
