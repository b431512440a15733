"""A run: from settings through search, retraining and baselines to a directory with everything that came of it."""
