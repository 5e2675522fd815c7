"""The venue in a world of one thread: any interleaving, any crash, from one seed.

The real actors (``actors``) run on a scheduler instead of threads, write to a journal that may fail in every way a
database can, and are checked row by row against the slow model in fractions.

Reading order: ``scheduler`` (one thread, any interleaving), ``runtime`` (pykka's actors on it), ``journal`` (the store
and its faults), ``host`` (a process: the core and what the host and the bridge do around it), ``clients``, ``orders``
(who asks for what, and what he was told), ``oracle`` and ``checks`` (what must hold), ``faults`` (a run's temper),
``world`` (a run). ``breaks`` are bugs on purpose: what the simulation must find. ``stage`` tells the story of one bug,
step by step.

``make sim SEEDS=2000`` runs seeds; ``make sim SEED=1234`` replays one with a trace.
"""
