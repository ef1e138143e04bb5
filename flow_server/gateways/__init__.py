"""HTTP entrance."""
