"""The identifiers that XACML 3.0 and its profiles define: categories, data types, status codes, attributes."""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "urn:oasis:names:tc:xacml:3.0:core:schema:wd-17"

# Attribute categories (core, appendix B.2), with the shorthand that the JSON profile gives each.
ACCESS_SUBJECT: Final = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
RECIPIENT_SUBJECT: Final = "urn:oasis:names:tc:xacml:1.0:subject-category:recipient-subject"
INTERMEDIARY_SUBJECT: Final = "urn:oasis:names:tc:xacml:1.0:subject-category:intermediary-subject"
CODEBASE: Final = "urn:oasis:names:tc:xacml:1.0:subject-category:codebase"
REQUESTING_MACHINE: Final = "urn:oasis:names:tc:xacml:1.0:subject-category:requesting-machine"
RESOURCE: Final = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"
ACTION: Final = "urn:oasis:names:tc:xacml:3.0:attribute-category:action"
ENVIRONMENT: Final = "urn:oasis:names:tc:xacml:3.0:attribute-category:environment"

CATEGORY_SHORTHANDS: Final = {
    "AccessSubject": ACCESS_SUBJECT,
    "RecipientSubject": RECIPIENT_SUBJECT,
    "IntermediarySubject": INTERMEDIARY_SUBJECT,
    "Codebase": CODEBASE,
    "RequestingMachine": REQUESTING_MACHINE,
    "Resource": RESOURCE,
    "Action": ACTION,
    "Environment": ENVIRONMENT,
}

# Attributes with a meaning of their own.
ACTION_ID: Final = "urn:oasis:names:tc:xacml:1.0:action:action-id"
SUBJECT_ID: Final = "urn:oasis:names:tc:xacml:1.0:subject:subject-id"
RESOURCE_ID: Final = "urn:oasis:names:tc:xacml:1.0:resource:resource-id"
CURRENT_TIME: Final = "urn:oasis:names:tc:xacml:1.0:environment:current-time"
CURRENT_DATE: Final = "urn:oasis:names:tc:xacml:1.0:environment:current-date"
CURRENT_DATETIME: Final = "urn:oasis:names:tc:xacml:1.0:environment:current-dateTime"
CONTENT_SELECTOR: Final = "urn:oasis:names:tc:xacml:3.0:content-selector"
MULTIPLE_CONTENT_SELECTOR: Final = "urn:oasis:names:tc:xacml:3.0:profile:multiple:content-selector"

# Data types (core, appendix A.2 and B.3).
XSD: Final = "http://www.w3.org/2001/XMLSchema#"
STRING: Final = XSD + "string"
BOOLEAN: Final = XSD + "boolean"
INTEGER: Final = XSD + "integer"
DOUBLE: Final = XSD + "double"
TIME: Final = XSD + "time"
DATE: Final = XSD + "date"
DATE_TIME: Final = XSD + "dateTime"
ANY_URI: Final = XSD + "anyURI"
HEX_BINARY: Final = XSD + "hexBinary"
BASE64_BINARY: Final = XSD + "base64Binary"
DAY_TIME_DURATION: Final = XSD + "dayTimeDuration"
YEAR_MONTH_DURATION: Final = XSD + "yearMonthDuration"
X500_NAME: Final = "urn:oasis:names:tc:xacml:1.0:data-type:x500Name"
RFC822_NAME: Final = "urn:oasis:names:tc:xacml:1.0:data-type:rfc822Name"
IP_ADDRESS: Final = "urn:oasis:names:tc:xacml:2.0:data-type:ipAddress"
DNS_NAME: Final = "urn:oasis:names:tc:xacml:2.0:data-type:dnsName"
XPATH_EXPRESSION: Final = "urn:oasis:names:tc:xacml:3.0:data-type:xpathExpression"

# Status codes (core, appendix B.8).
STATUS: Final = "urn:oasis:names:tc:xacml:1.0:status:"
OK: Final = STATUS + "ok"
MISSING_ATTRIBUTE: Final = STATUS + "missing-attribute"
SYNTAX_ERROR: Final = STATUS + "syntax-error"
PROCESSING_ERROR: Final = STATUS + "processing-error"

XPATH_1_0: Final = "http://www.w3.org/TR/1999/REC-xpath-19991116"
