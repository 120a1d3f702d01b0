"""What investigators read: the reason of an alert in words, and what would be normal there."""
