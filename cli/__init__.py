"""The command line: `./tongshu …`."""
