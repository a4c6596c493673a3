"""Files that would harm: whole ones to start from, ways to damage them, and a process that reads them."""
