"""Orders that wait for a price or a time: how each is placed, filled and ended.

Reading order: ``terms`` (what an order may ask for), ``resting`` (entries; replacing and cancelling any), ``exits``
(how a position leaves at a price), ``next_price`` (orders that wait for it), ``twap`` (a size in slices), and
``cancel_timers``.
"""
