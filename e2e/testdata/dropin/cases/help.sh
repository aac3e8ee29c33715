# Help is a result, not an error. Each tool has its own text.
# in turns: no (each command stands alone)
hide_output $M --help
hide_output $M create --help
hide_output $M annotate --help
hide_output $M inspect --help
hide_output $M push --help
hide_output $M rm --help
hide_output $M rm -h
hide_output $M help
hide_output $M
