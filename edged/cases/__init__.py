"""The case feed: files of cases that other systems, or people with a spreadsheet, drop into a folder."""
