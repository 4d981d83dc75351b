"""The Explanation screen: what a call rests on."""
