"""The command line: one file a command. `main` alone turns an error into an exit code."""
