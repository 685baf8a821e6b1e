"""The rehearsal stage of a case."""
