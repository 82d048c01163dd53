"""What is due next for sealed segments, one kind of work a module. Each derives its work from the book anew."""
