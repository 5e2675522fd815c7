"""``perps agents``: many agents in worker processes, their users and keys, a table of how they do.

Reading order: ``settings`` (what a run is), ``run`` (a run from its begin to its end, for other programs too),
``population`` (users and keys), ``jobs`` (what run and workers tell each other), ``worker`` (one process of agents),
``board`` (figures of all), ``display``, ``plot``, ``command``. Strategies are in ``perps.agents``.
"""
