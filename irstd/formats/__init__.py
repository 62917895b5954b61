"""What people have on disk, read: predictions as masks, maps, points and boxes."""
