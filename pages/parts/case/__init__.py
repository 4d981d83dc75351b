"""The Case screen: its header, slides, reads, and what stands behind them."""
