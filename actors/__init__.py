"""Who owns which state, and in what order things happen.

Reading order: ``messages`` (what travels), ``base`` (an actor that dies on the first unexpected exception),
``supervisor`` → ``ledger`` → ``market`` → ``ledger`` → ``journal`` (a command's way through), ``answers`` (one answer
per client id), ``recovery`` and ``core`` (start, orderly stop), ``bridge`` (asyncio ↔ actors), ``timer`` and
``clock`` (what is due by time alone, and what time it is), ``vitals`` (are all actors alive?). ``turns``,
``fair_queue``, ``shares`` and ``limits`` bound what is in flight, ``unfinished`` waits for the last row of a crash,
``look_up`` finds old answers, ``ports`` says what is needed from outside.

Every hop is a ``tell`` that carries a batch. pykka lives in this package only.
"""
