"""What training learns from: a teacher looks at the training set and says what each event is."""
