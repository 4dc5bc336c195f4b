"""Real servers on loopback ports, started and stopped by the tests that use them."""
