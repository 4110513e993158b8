"""Coverage-guided fuzzing of the framer: ``make fuzz``."""
