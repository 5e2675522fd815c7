"""``perps feed``: prices from a file or from a seeded process, played into a market through the price route."""
