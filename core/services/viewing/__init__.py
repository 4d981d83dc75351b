"""What the viewer and the screens draw of a slide."""
