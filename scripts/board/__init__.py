"""`make board-check`: an emulated ARM board (system.py), what runs on it (answers.py), and the check (check.py)."""
