"""The data of the zoo that is shipped, and the page of its measurements."""
