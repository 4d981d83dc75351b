"""The pieces that the screens are made of: a package a screen, and `common` for what several share."""
