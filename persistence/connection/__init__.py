"""Connections: ``connect`` opens one and translates its errors, ``session`` lets a thread without an event loop use it.

``server_checks`` refuses a server that can lose what it has committed.
"""
