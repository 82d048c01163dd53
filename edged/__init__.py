"""edged turns a docking station for body-worn cameras into a place where footage becomes evidence."""

__version__ = "0.1.0"
