"""What happens to a request around its handler.

Reading order: ``app`` (the one function that every request passes), ``routing`` (which handler), ``carrying`` (what
HTTP and the agents' channel share). On the way out: ``responses``, ``shared`` (answers that are made once for all),
``error_responses``, ``request_ids``.
"""
