"""``perps feed``: sends prices to a market through the price route, from a file, an HTTP source or a simulation.

Reading order: ``files`` (recorded prices), ``http_prices`` (live ones), ``price_process`` (simulated ones),
``market_feed`` (how a market gets them), ``player`` (when each is due); the commands are ``replaying``, ``polling`` and
``simulating``.
"""
