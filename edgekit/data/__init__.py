"""Images and labels on disk, decoded and chosen: for calibration, evaluation and parity."""
