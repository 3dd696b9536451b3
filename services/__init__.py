"""The services of the exchange; each is a room whose door is its topics and its API."""
