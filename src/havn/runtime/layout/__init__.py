"""The layout model: what an app's layouts mean for given data, before anything is drawn.

`tree` is the layout as the app wrote it; `form.FormState` is that layout with one set of models: which components are
hidden, required and read-only, which rows a group has, and what each component holds. Pages, the receipt and the
validators for required fields and hidden data all read the same state, so that they never disagree.
"""
