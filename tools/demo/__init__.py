"""``perps serve --demo``: sample markets, users, moving prices and trading agents, all over HTTP like any user.

Reading order: ``setup`` (what it starts with), ``agents`` (how one trades), ``demo`` (keeps all of it moving).
"""
