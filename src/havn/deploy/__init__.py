"""From app folder to release to deployment: building, signing, storing, desired state and its history."""
