"""The command line's groups of commands. Heavy imports stand inside the commands, so that `--help` answers at once."""
