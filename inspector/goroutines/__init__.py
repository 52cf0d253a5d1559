"""What the threads run, and which goroutines are inside map functions."""
