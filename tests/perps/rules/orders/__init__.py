"""Rules of orders that wait: limits, stops, exits, orders at the next price, timers."""
