"""Orders of the contract: what one is (``order``, ``twap``), and what is asked about them."""
