"""How a device is reached: argument lists run there, files brought there and back."""
