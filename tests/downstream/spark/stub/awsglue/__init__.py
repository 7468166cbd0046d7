"""What glue_entry.py uses of AWS Glue's library, which no registry has; for tests only."""
