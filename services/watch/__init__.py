"""The watch: how the exchange is, seen from the broker, from Connect and from what the road tells of itself."""
