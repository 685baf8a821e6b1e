"""The follow-up stage of a case: the store of records, and their FHIR."""
