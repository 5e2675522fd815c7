"""What one process of the venue needs around the core: start, watch, rebuild, log, save, stop.

Nothing here knows a route. Read ``host`` first (the core's life), then ``watchdog`` with ``loop_watch`` and
``last_words`` (what hangs), ``logs`` with ``log_sink`` and ``log_text`` (stderr), ``recorder`` (a line and a count for
each command), ``snapshots`` with ``snapshot_process`` and ``snapshot_taking`` (the state on disk), ``data_directory``,
``affinity`` (processors), ``clock`` and ``daemon_thread``. ``observations`` notes what users have each hour;
``running_venues`` is how a command finds this process.
"""
