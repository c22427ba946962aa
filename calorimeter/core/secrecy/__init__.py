"""What keeps secrets secret: where they are, and how they are masked in text that is kept or shown."""
