"""What a release is made of, built here."""
