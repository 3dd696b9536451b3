"""Row API (接口调用): rows of a grant's share topic, looked up by the query keys that the contract declares."""
