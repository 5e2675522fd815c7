"""What the embedded server's cluster is made with, and why."""

SETTINGS_FILE = "perps.conf"
SETTINGS = """\
# Written when the cluster was made; included last by postgresql.conf. The socket is set at every start.
fsync = on                   # these three: what the venue has answered for survives a power cut
full_page_writes = on
synchronous_commit = on
max_wal_size = 4GB           # rare checkpoints: the full page images after each would multiply the WAL
checkpoint_timeout = 15min
shared_buffers = 256MB       # holds the journal's tail; the kernel caches the rest
max_connections = 50         # one venue and its tools
jit = off                    # queries are short: compiling costs more than it saves
timezone = 'UTC'
log_timezone = 'UTC'
"""
