"""How long groups take to form and to react, and what they cost, one node per process; see README.md."""
