"""What models see: causal features of each event, the windows they form, and the split of training and evaluation."""
