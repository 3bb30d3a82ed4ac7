"""Published checkpoints → run folders, a file per source system; nothing foreign is executed."""
