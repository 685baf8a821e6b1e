"""A case: it alone knows all stages, runs them, and keeps their results as plain files."""
