"""``perps mcp``: the venue as tools for language models, over the Model Context Protocol. A process of its own.

Reading order: ``tools`` (which operation is which tool, with its schemas), ``calls`` (a call becomes a request of the
client), ``server`` (the protocol, by the official SDK), ``command``. Only ``server`` and ``command`` know the SDK,
which is the extra ``mcp``.
"""
