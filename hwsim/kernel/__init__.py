"""Kernel mode (root): cards as file systems on loop devices, whose comings and goings a real udev tells."""
