"""Connections to PostgreSQL: ``connect`` (opening them, their errors), ``session`` (one for a thread without a loop),
``server_checks`` (settings that durability needs).
"""
