"""The post-operative stage of a case."""
