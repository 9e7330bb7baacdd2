// The databases that the user sees, what else they are called, and whether they can be written to.
SHOW DATABASES YIELD name, aliases, access, home
RETURN name, aliases, access, home;
