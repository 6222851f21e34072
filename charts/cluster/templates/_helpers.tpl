{{/* What the page for unknown addresses is selected by. */}}
{{- define "cluster.unknown" -}}
app.kubernetes.io/name: havn-unknown
app.kubernetes.io/component: unknown-address
{{- end -}}

{{/* The Secret with that page's certificate; empty: plain HTTP. */}}
{{- define "cluster.unknownCertificate" -}}
{{- with .Values.unknown.tls -}}
{{- if .certManager.issuer -}}havn-unknown-tls{{- else -}}{{ .existingSecret }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where a route leads that leads to no app. */}}
{{- define "cluster.unknownBackend" -}}
{{- if include "cluster.unknownCertificate" . -}}
services: [{name: havn-unknown, port: 443, scheme: https, serversTransport: havn-unknown}]
{{- else -}}
services: [{name: havn-unknown, port: 80}]
{{- end -}}
{{- end -}}

{{/* What answers apps' DNS is selected by. */}}
{{- define "cluster.dns" -}}
app.kubernetes.io/name: havn-dns
app.kubernetes.io/component: dns
{{- end -}}

{{- define "cluster.labels" -}}
app.kubernetes.io/part-of: {{ .Values.org | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{/* The host of the org's apps, without port. */}}
{{- define "cluster.host" -}}
{{ .Values.org }}.apps.{{ regexReplaceAll ":\\d+$" .Values.domain "" }}
{{- end -}}

{{/* The Secret with the certificate of that host; empty: Traefik's own. */}}
{{- define "cluster.public" -}}
{{- .Values.tlsSecret | default (ternary "havn-public" "" (ne .Values.certManager.issuer "")) -}}
{{- end -}}

{{/* What the API proxy is selected by; apps are let through to it by these labels. */}}
{{- define "cluster.egress" -}}
app.kubernetes.io/name: havn-egress
app.kubernetes.io/component: api-proxy
{{- end -}}

{{/* The Secret with the API proxy's certificate; empty: plain HTTP. */}}
{{- define "cluster.egressCertificate" -}}
{{- if .Values.egress.tls.certManager.issuer -}}havn-egress-tls{{- else -}}{{ .Values.egress.tls.existingSecret }}{{- end -}}
{{- end -}}
