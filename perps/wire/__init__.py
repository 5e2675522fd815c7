"""The contract as types: bodies, queries, answers, errors, and the table of operations. No I/O, no rules.

Reading order: ``base`` (numbers and names), ``errors``, ``operation``, then the subjects (``trading`` first);
``operations`` is the table of all. ``docs/api.md`` says the same in words.
"""
