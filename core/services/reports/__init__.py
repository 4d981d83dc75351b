"""What guidelines on second opinions ask a department to count."""
