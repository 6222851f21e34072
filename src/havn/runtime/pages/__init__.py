"""The form and the pages around it, drawn on the server: Jinja, the styles of Designsystemet, htmx for script.

Every page works without script: buttons post the whole form, answered by a page or a redirect. With script the
same posts are sent as one types, and the answer holds only the parts that changed.
"""

from havn.runtime.pages.addresses import routes

__all__ = ["routes"]
