"""Probing and derivatives: ffmpeg-python builds the command, a sandbox runs it; never in the way of offloading."""
