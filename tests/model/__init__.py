"""The slow model: the venue once more, in fractions, from the formulas and not from the code."""
