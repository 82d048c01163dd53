"""The demo: the whole way of footage with the real station, and every claim about it checked from outside."""
