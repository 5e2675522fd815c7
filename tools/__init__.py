"""The command line: ``perps …``. The outermost layer; it speaks to a running venue over REST like anybody else.

Reading order: ``cli`` (commands, errors, exit codes), ``options`` (flag > environment > TOML > default), ``values``
(what an argument may be), ``client`` (REST), ``output`` (tables, lines, progress); then one place per subject:
``serve`` and the ``sample`` venue of its demo, ``admin``, ``feeds``, ``benchmark``.

Modules named in ``cli.COMMANDS`` are imported to print ``perps --help``; what is heavy they import when they run.
"""
