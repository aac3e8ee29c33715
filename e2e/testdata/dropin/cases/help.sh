# Help is an answer, not an error. Its text is each tool's own.
# in turns: no (every command is alone)
hide_output $M --help
hide_output $M create --help
hide_output $M annotate --help
hide_output $M inspect --help
hide_output $M push --help
hide_output $M rm --help
hide_output $M rm -h
hide_output $M help
hide_output $M
