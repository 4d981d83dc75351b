"""What a call rests on: maps of tiles, the removal test, and what looks alike."""
