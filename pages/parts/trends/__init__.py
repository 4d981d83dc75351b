"""The Trends screen: quality over time and between batches."""
