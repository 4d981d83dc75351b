"""Files of other programs, read and written as those programs do."""
