"""The command line: ``perps …``. The outermost layer; it speaks to a running venue over REST like anybody else.

Reading order: ``cli`` (commands, errors, exit codes), ``options`` (flag > environment > TOML > default), ``values``
(what an argument may be), ``client`` (REST), ``output`` (tables, lines, progress); then one file per subject:
``serve``, ``admin``, ``feed*`` with ``price_process``, ``demo*``, ``bench*``.

Modules named in ``cli.COMMANDS`` are imported to print ``perps --help``; what is heavy they import when they run.
"""
