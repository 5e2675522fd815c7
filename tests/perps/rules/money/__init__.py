"""Rules of money: funding, fees, margin, the house, settling."""
