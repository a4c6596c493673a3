"""What others wrote: structures and exchange constants from files."""
