"""The domain, module by module; then the machine that drives all of it, and those who would rob it.

``build`` makes markets and drives the engine and the ledger without actors. The slow model is in ``tests/model``.
"""
