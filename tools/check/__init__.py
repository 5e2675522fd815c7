"""``perps market check``: plays adversaries against a market's parameters, and says what each of them earns.

Reading order: ``arena`` (a market of one's own, in this process), ``adversaries``, ``prices`` (what they play on),
``results``, ``command``, ``new`` (the short check behind a listing).
"""
