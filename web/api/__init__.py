"""REST: one thin handler a route. It asks the gateway or the read model, and answers in the contract's types.

Reading order: ``app`` (the one function that every request passes), ``routing`` (which handler), ``reading`` and
``misfits`` (bodies and queries, and what is wrong with them), ``call`` (what a handler gets), ``context`` (what it can
reach), ``commands`` and ``units`` (bodies → commands), then one file a subject: ``trading``, ``markets``, ``history``,
``prices``, ``users``, ``keys``, ``streams``, ``venue``, ``reference`` (the contract itself). Which routes there are,
``perps/wire/operations.py`` says.
"""
