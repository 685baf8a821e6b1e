"""The assessment stage of a case."""
