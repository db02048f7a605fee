"""What ``touchline doctor`` looks at: checks that change nothing, each with the way to mend it."""
