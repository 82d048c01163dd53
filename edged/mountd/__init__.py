"""The privileged mounter: a small process that mounts what udev tagged as a bay's, and can do nothing else."""
