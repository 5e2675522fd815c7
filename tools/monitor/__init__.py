"""``perps monitor``: how a venue and its markets are, live, as JSON, or against thresholds.

Reading order: ``sample`` (what the venue is asked), ``figures`` (what follows from two samples), ``checks``,
``screen``, ``command``.
"""
