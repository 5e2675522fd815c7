"""REST: one thin handler a route. It asks the gateway or the read model, and answers in the contract's types.

Reading order: ``serving`` (what happens to a request around its handler), ``bodies`` (what comes in), ``call`` (what a
handler gets), ``context`` (what it can reach), then one file a subject: ``trading``, ``net``, ``orders``, ``markets``,
``history`` with ``paging``, ``prices``, ``users``, ``results``, ``keys``, ``streams``, ``agents``, ``venue``,
``clock``, ``page`` (of a browser), ``reference`` (the contract itself). Which routes there are,
``perps/wire/contract/operations.py`` says.
"""
