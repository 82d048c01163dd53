"""Supervision from outside: what the station does, told live over MQTT."""
