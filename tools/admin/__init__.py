"""``perps market|user|key|stats``: what an administrator asks of a running venue, over REST like any other client.

``markets``, ``users``, ``keys`` and ``stats`` hold the commands; ``answers`` asks the venue and shows what it answers.
"""
