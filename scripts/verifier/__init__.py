"""The parts of `scripts/verify_certificates.py`: standard library only, nothing of the connector's code."""
