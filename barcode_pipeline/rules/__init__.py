"""The five rules: `kernel` holds each rule as its text has it, `labels` runs them over columns of events."""
