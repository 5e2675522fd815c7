"""The process around the core: start, life and end, the watchdog, logs, snapshots, the data directory, the clock."""
