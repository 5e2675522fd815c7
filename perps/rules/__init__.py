"""How each command is decided, what each event does, and what readers see of it: one module a subject.

Reading order: ``rule`` (what a rule is), ``table`` (all of them), ``opening`` and ``closing`` with their ``checks``,
``margin``, ``triggers``, the room ``orders``, ``liquidation``, ``netting``, then ``prices``, ``funding``, ``time``,
``deleveraging``, and an administrator's: ``listing``, ``parameters``, ``modes``, ``settling``, ``house``, ``users``.
"""
