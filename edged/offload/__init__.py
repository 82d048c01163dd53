"""The copying pass over the files of a recorder."""
