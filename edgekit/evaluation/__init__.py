"""`edgekit eval`: the accuracy of the file that ships."""
