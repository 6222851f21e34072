"""Catalogues kept as data: access packages and the roles that carry them, role codes and their names."""
