"""Orders of the contract: what one is (``order``, ``twap``), and ``placing``, ``reading`` and ``cancelling`` them."""
