"""One market: its state, its formulas and the rules that its listing must keep.

Reading order: ``position`` and ``pricing`` (the formulas), ``state`` (a market and its running sums),
``liquidation_order`` (which position is due first), ``sums`` (what its accounts must hold), ``listing`` (which
parameters are sound), with ``reach`` (how far trading can go), ``risks`` (what a listing is warned of) and
``presets``. What waits for a price: ``levels`` (the lists), ``triggers`` (exits of positions), ``order`` and
``orders`` (resting entries), ``cancel_timers``. Then ``funding``, ``holding`` (a price in doubt), ``part`` (how much
a liquidation closes), ``settling`` and ``deleveraging``.
"""
