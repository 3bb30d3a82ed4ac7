"""The command line: a table of commands, and one file per command that makes one call of a workflow."""
