"""REST: one thin handler a route. It asks the gateway or the read model, and answers in the contract's types.

Reading order: ``app`` (the one function that every request passes), ``routing`` (which handler), ``carrying`` (what
HTTP and the agents' channel share), ``bodies`` (what comes in), ``call`` (what a handler gets), ``context`` (what it
can reach), then one file a subject: ``trading``, ``net``, ``orders``, ``markets``, ``history`` with ``paging``,
``prices``, ``users``, ``results``, ``keys``, ``streams``, ``agents``, ``venue``, ``clock``, ``page`` (of a browser),
``reference`` (the contract itself). On the way out: ``responses``, ``shared`` (answers that are made once for all),
``error_responses``, ``request_ids``. Which routes there are, ``perps/wire/operations.py`` says.
"""
