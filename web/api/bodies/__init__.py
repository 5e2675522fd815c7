"""What a request's body may be, and the command it asks for.

Reading order: ``reading`` (bytes → the type of the contract), ``misfits`` (what is wrong with a body), ``commands``
(the type → a command) with ``units``, ``changes`` and ``tiers``, and ``orders`` with ``trailing`` and ``twap``.
"""
