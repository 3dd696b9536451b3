"""`./tongshu audit`: the log verified, replayed and traced by whoever runs the exchange."""
