"""The receipt: what was submitted, as a tagged PDF/UA-1 made by Typst from the layout's own summary."""
