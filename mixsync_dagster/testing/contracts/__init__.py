"""Contract suites: classes of tests that every adapter of a port has to pass."""
