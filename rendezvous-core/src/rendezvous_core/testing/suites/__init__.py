"""The suites: one module for each port."""
