"""The command line: every command is a file, `main` puts them together."""
