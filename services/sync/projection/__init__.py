"""What a grant may see of a change: plans compiled from schema, contract and grant, and the engines that run them."""
