"""The copying pass and the re-read past the page cache."""
