"""How each command is decided, what each event does, and what readers see of it: one module a subject.

Reading order: ``rule`` (what a rule is), ``table`` (all of them), ``opening`` and ``closing`` with their ``checks``,
``liquidation``, ``triggers``, ``orders``, then ``prices``, ``modes``, ``listing``, ``house``, ``users``, ``time``.
"""
