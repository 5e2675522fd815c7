"""The command line: ``perps …``. The outermost layer; it speaks to a running venue over REST like anybody else.

Reading order: ``cli`` (what runs first), ``commands`` (loading sub-commands), ``errors`` (and exit codes),
``settings`` (flag > environment > TOML > default), ``values`` (what an argument may be), ``client`` (REST), ``output``
(tables, lines, progress); then one place per subject: ``serve`` and the ``sample`` venue of its demo, ``admin``,
``feeds``, ``snapshot``, ``audit``, ``archive``, ``benchmark``.

Modules named in ``cli.COMMANDS`` are imported to print ``perps --help``; what is heavy they import when they run.
"""
