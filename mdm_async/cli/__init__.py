"""The `mdm` command. One file per group of commands; callbacks are thin, what they do can be called."""
