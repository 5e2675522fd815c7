"""``perps serve --demo``: sample markets, users, a moving price and trading agents, all through HTTP like any user."""
