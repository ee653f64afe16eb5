"""What the FIX adapter serves."""
