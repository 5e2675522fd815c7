"""A world in a file: markets, users, keys, feeds and agents, set up on a venue and kept going.

Reading order: ``world`` (what a file may say), ``reading`` (how it is read, and what is said of a mistake), ``plan``
(what the venue lacks), ``run`` (feeds, stories and agents), ``command`` (``perps apply``).
"""
