"""The checks of each command: ``decide_*`` returns events or a refusal and changes nothing.

One module per subject: ``trading``, ``liquidation``, ``prices``, ``modes``, ``listing``, ``users``.
"""
