"""The catalogue: what data there is, who answers for it, on what terms, and where it really is (mounts)."""
