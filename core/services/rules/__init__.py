"""Flag rules and reading schemes as versioned data, and the flags that follow from them."""
