"""The command line, ``perps …``: the outermost layer. It speaks to a running venue over REST, as everybody does.

``cli`` starts a command, ``commands`` has the help page, ``settings`` finds values (flag, variable, file, default),
``client`` asks the venue, ``output`` prints. Then a package or module for each subject, as ``cli.COMMANDS`` names it.
The modules named there are imported for ``perps --help``; each imports what is heavy only when it runs.
"""
