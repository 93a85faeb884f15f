"""The verdict told twice: a table on the console and one page that needs no network."""
