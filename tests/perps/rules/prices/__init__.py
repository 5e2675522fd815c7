"""Rules of prices: which are taken, bands around them, limits of those who trade at them."""
