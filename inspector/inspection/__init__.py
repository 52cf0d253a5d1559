"""One map from its name to its judgement; one key looked up."""
