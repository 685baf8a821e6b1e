"""The planning stage of a case."""
