"""Reading a case: the worklist, the locked first diagnosis, what one person may see, and one page about it."""
