// The databases that the user sees, and whether they can be written to.
SHOW DATABASES YIELD name, access, home
RETURN name, access, home;
