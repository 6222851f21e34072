"""The app runtime: what runs inside every service app's process or container."""
