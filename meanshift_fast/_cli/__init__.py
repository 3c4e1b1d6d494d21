"""The command line: arguments, commands, signals, the demo. It talks to the public faces."""
