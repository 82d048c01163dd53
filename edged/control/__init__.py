"""The control socket: the one way anything acts on a running daemon, and the roles that may."""
