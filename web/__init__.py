"""The outside: HTTP over aiohttp, the read model behind every GET, and the process that a venue runs as.

Reading order: ``compose`` (the composition root), ``venue_server`` (what is wired to what), ``gateway`` (how a
command comes in), ``readside`` (committed state), ``streams`` (rows as they come), ``answers`` (values → text),
``api`` (the routes), ``auth``, ``tickets`` and ``limits`` (who may have how much), ``agents`` (the channel),
``listener`` and ``metrics``, ``process`` (the core's life, logs, watchdog). ``page`` is the browser's side.

Nothing here changes a market: commands go through the gateway and the bridge, answers come back after their commit.
"""
