"""How each command is decided, what each event does, and what readers see of it: one module a subject.

Reading order: ``rule`` (what a rule is), ``table`` (all of them), ``opening`` and ``closing`` with their ``checks``,
``margin``, ``triggers``, ``orders`` with their ``order_terms``, ``exits`` (how a position leaves at a price),
``liquidation``, ``next_price`` (orders that wait for it), ``netting``, ``cancel_timers``, then ``prices``, ``funding``,
``time``, and an administrator's: ``listing``, ``parameters``, ``modes``, ``settling``, ``house``, ``users``;
and ``deleveraging``.
"""
