"""REST: one thin handler a route. It reads the request, asks the gateway or the read model, and answers.

Reading order: ``app`` (routes and the one middleware), ``context`` (what a handler can reach), ``bodies`` and
``requests`` (JSON → commands), ``commands`` (a command to the gateway and back), then one file a subject: ``trading``,
``markets``, ``users``, ``admin``, ``snapshots``, ``streams``, ``health``. ``responses`` and ``error_responses`` are the
only way out.
"""
