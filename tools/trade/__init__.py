"""``perps trade``: what a trader asks of a running venue, over REST like any other client.

``access`` finds the trader's key, ``positions``, ``orders`` and ``account`` hold the commands, ``command`` groups them.
"""
