"""The Agreement screen: readers with readers, and the model as one more reader."""
