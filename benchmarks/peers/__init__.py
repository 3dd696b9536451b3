"""What a user could pick instead of ours: each as its makers recommend it, brought by a benchmark only."""
